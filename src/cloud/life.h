/*
 * What must hold for a machine in every cloud, done once over what a driver's kinds can do.
 *
 * A create whose answer was lost is looked for by its nonce before anything is created again; of
 * several the oldest stays. Things are dropped in the reverse order of their making, the machine
 * before what it stands on, each until the cloud says that it is gone. What a server lists is checked
 * again by the driver: what comes of it may be deleted.
 *
 * Every call ends by its deadline; -1 with *e unless said otherwise. Nothing here writes a file.
 */
#ifndef CLOUD_LIFE_H
#define CLOUD_LIFE_H

#include "cloud/driver.h"
#include "net/rest.h"

/*
 * What somebody else has seen of the machine (the account's watcher): 1 it is on its way, its address noted
 * if it has one, 0 not known: ask the cloud.
 */
struct cloud_hint {
	int	(*look)(void *ctx, struct cloud *c);
	void	*ctx;
};

/* The id that the state holds of a kind, "" while unknown; and noting one (NULL: forgotten). */
const char	*cloud_id(const struct cloud *c, size_t kind);
void		 cloud_note_id(struct cloud *c, size_t kind, const char *id);
/* The row that is the machine itself; SIZE_MAX when the driver makes none (generic, none). */
size_t		 cloud_machine_kind(const struct cloud_driver *d);
/* Its id: "" while unknown. */
const char	*cloud_machine_id(const struct cloud *c);

/* Connects lazily: the driver's open(), once. */
int	cloud_open(struct cloud *c, struct err *e);

/*
 * Looks by nonce for what earlier create calls made besides the things whose ids are in the state. Of a kind
 * without an id the oldest is taken into the state; the others are dropped, machines first. Returns how many
 * things there were that the state did not know, or -1.
 */
int	cloud_find(struct cloud *c, const struct cloud_labels *l, mono_t deadline, struct err *e);
/* Waits until the machine's address is known. hint: see struct cloud_hint; NULL: ask the cloud only. */
int	cloud_await(struct cloud *c, const struct cloud_hint *hint, mono_t deadline, struct err *e);
/* While its SSH does not answer: 1 it will never come (*e says why), 0 it may, -1 could not ask. hint: as above. */
int	cloud_lost(struct cloud *c, const struct cloud_hint *hint, mono_t deadline, struct err *e);
/* One look at the machine; ERR_NOTFOUND: there is none (any more). The second: its state alone. */
int	cloud_look(struct cloud *c, struct cloud_sight *s, mono_t deadline, struct err *e);
int	cloud_state(struct cloud *c, enum cloud_state *s, mono_t deadline, struct err *e);
/*
 * Deletes until the cloud says that nothing of this machine is left; what is not there is success.
 * pub_line ("" if lost) finds a key whose id was never learned; l->nonce ("" if made by the original)
 * finds things whose id was never learned. thorough: look by nonce even where an id is known.
 */
int	cloud_drop_all(struct cloud *c, const struct cloud_labels *l, const char *pub_line, bool thorough,
	    mono_t deadline, struct err *e);
/* The machines alone. */
int	cloud_list_machines(struct cloud *c, const struct cloud_query *q, struct cloud_things *out, mono_t deadline,
	    struct err *e);
/* Everything that matches, of all kinds, in the driver's arena: whole or an error. */
int	cloud_list_all(struct cloud *c, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e);
/* Deletes one thing of a list until the cloud says that it is gone. */
int	cloud_discard(struct cloud *c, const struct cloud_thing *t, mono_t deadline, struct err *e);
/*
 * Where lists show one region (or zone) each: that something is about to be made in this one, for all operators of
 * the account and for good; and those that were ever noted, in the driver's arena. A region that the options name no
 * more is listed all the same. Best effort: without a place to note them there are none.
 */
void	cloud_note_region(struct cloud *c, const char *region);
size_t	cloud_noted_regions(struct cloud *c, const char ***regions);
/* Whether things of this cloud can be listed by their mark at all. */
bool	cloud_lists(const struct cloud_driver *d);

#endif
