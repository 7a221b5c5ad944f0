/*
 * DigitalOcean, between its own files: droplets and account keys by the v2 API.
 *
 * The API has no idempotency key and takes a name twice, so a create whose answer was lost is looked up
 * by its nonce tag before it is sent again; tags of the create call exist from the droplet's first
 * moment. Limits: 5,000 calls an hour and 250 a minute for a token.
 */
#ifndef CLOUD_DIGITALOCEAN_DIGITALOCEAN_H
#define CLOUD_DIGITALOCEAN_DIGITALOCEAN_H

#include "cloud/driver.h"
#include "net/rest.h"

#define DO_OWNER_TAG	"wl-owner-"
#define DO_NONCE_TAG	"wl-nonce-"
#define DO_PER_PAGE	200

/* The members of config.json's Driver that are this driver's. */
struct droplet {
	struct secret	 token;
	const char	*id;		/* DropletID: a number on disk */
	const char	*droplet_name;
	const char	*image;
	const char	*region;
	const char	*key_id;	/* SSHKeyID: a number on disk */
	const char	*fingerprint;
	const char	*key_path;
	const char	*size;
	bool		 ipv6;
	bool		 backups;
	bool		 private_networking;
	const char	*user_data_file;
	bool		 monitoring;
	const char	*tags;
	const char	*endpoint;
	const char	*ca_file;
	int64_t		 action;	/* of the create call, if this process made it; not kept */
};

static inline struct droplet *
do_own(const struct cloud *c)
{
	return c->own;
}

static inline const char *
do_word(const char *s)
{
	return s != NULL ? s : "";
}

/* api.c */
int	do_open(struct cloud *c, struct err *e);
void	do_close(struct cloud *c);
/* One call; see rest_call(). Opens the session. DO_ASK: its request, with more members behind if need be. */
#define DO_ASK(kind_, method_, ...) \
	(&(struct rest_request){ .kind = REST_##kind_, .method = (method_), .target = __VA_ARGS__ })
int	do_call(struct cloud *c, const struct rest_request *q, struct rest_answer *a, mono_t deadline, struct err *e);
/* An answer that says no, as an error: -1. */
int	do_refused(const char *method, const char *target, const struct rest_answer *a, struct err *e);
/* An answer that lacks what it should hold: -1. */
int	do_unexpected(const char *method, const char *target, struct err *e);
/* A paged list: where it is ("/v2/regions?"), its member that holds the elements, and who takes each; false: enough. */
struct do_list {
	const char	*path, *member;
	bool		(*take)(void *ctx, struct json_val v);
	void		*ctx;
};
/* Hands out the elements, page by page. 0, or -1 when not all of what was wanted could be had. */
int	do_each(struct cloud *c, struct do_list *l, mono_t deadline, struct err *e);
/* The cloud's words for a list or a message, in the arena: nobody's terminal obeys them. */
const char *do_plain(struct arena *a, struct str s);
/* An id of the API, in the driver's arena; "" when it is none. */
const char *do_id(struct cloud *c, struct json_val v);

/* key.c, droplet.c: the kinds */
extern const struct cloud_kind do_key_kind, do_droplet_kind;
/* The account's key by its fingerprint: 1 and *id, 0 there is none, -1. */
int	do_key_lookup(struct cloud *c, const char *fingerprint, const char **id, mono_t deadline, struct err *e);
int	do_power(struct cloud *c, enum cloud_power p, mono_t deadline, struct err *e);
void	do_tidy(struct cloud *c, const char *nonce, mono_t deadline);

/* probe.c */
int	do_probe(const struct prober *p, struct err *e);

#endif
