/* What the commands about runners share: see runnercmd.h. */
#include <sys/signalfd.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "config/keys.h"
#include "core/log.h"
#include "core/proc.h"
#include "gitlab/api.h"
#include "versions.h"

#define LINE_MAX_BYTES	(64u << 10)

#if defined(__aarch64__)
#define ARCH "arm64"
#else
#define ARCH "amd64"
#endif

void
runnercmd_hello(bool mode)
{
	log_info("Runtime platform", F_STR("arch", ARCH), F_STR("os", "linux"), F_INT("pid", getpid()),
	    F_STR("revision", WL_REVISION), F_STR("version", GITLAB_COMPAT_VERSION));
	if (!mode)
		return;
	if (geteuid() == 0)
		log_info("Running in system-mode.");
	else
		log_warn("Running in user-mode: the configuration is this user's. As root it would be the system's.");
}

int
runnercmd_fatal(const char *what, const struct err *e)
{
	char text[640];

	snprintf(text, sizeof(text), "%s%s%s", what, what[0] != '\0' && e != NULL ? ": " : "", e != NULL ? e->msg : "");
	LOG_LINE(LOG_FATAL, text);
	return 1;
}

int
runnercmd_catch_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	int fd = proc_signals(ends, NELEM(ends), NULL);

	if (fd < 0)
		abort();
	net_control(fd);
	return fd;
}

void
runnercmd_forget_signal(int fd)
{
	struct signalfd_siginfo s;

	(void)!read(fd, &s, sizeof(s));
}

/* Trimmed as config_parse() does it (spec gitlab-runner 1.1). malloc'd. */
static char *
base_url(const char *url)
{
	struct str u = str_trim(str_from(url));

	while (str_ends(u, "/"))
		u.n--;
	if (str_ends(u, "/ci"))
		u.n -= 3;
	while (str_ends(u, "/"))
		u.n--;
	return str_dup(u);
}

struct gitlab *
runnercmd_gitlab(const char *url, const char *ca, const char *cert, const char *key, struct err *e)
{
	char *base = base_url(url);
	char *found_ca = ca == NULL || ca[0] == '\0' ? config_cert_file(base, ".crt") : NULL;
	bool own = (cert != NULL && cert[0] != '\0') || (key != NULL && key[0] != '\0');
	char *found_cert = own ? NULL : config_cert_file(base, ".auth.crt");
	char *found_key = found_cert == NULL ? NULL : config_cert_file(base, ".auth.key");
	struct gitlab_opts o = { .url = base, .ca_file = found_ca != NULL ? found_ca : ca,
	    .cert_file = found_cert != NULL ? found_cert : cert, .key_file = found_key != NULL ? found_key : key };
	struct gitlab *g = gitlab_open(&o, e);

	free(base);
	free(found_ca);
	free(found_cert);
	free(found_key);
	return g;
}

struct gitlab *
runnercmd_gitlab_of(const struct runner *r, const char *ca, struct err *e)
{
	if (r->base_url[0] == '\0') {
		err_set(e, ERR_CONFIG, 0, "it has no url");
		return NULL;
	}
	if (r->tls_ca_file[0] != '\0')
		ca = r->tls_ca_file;
	return runnercmd_gitlab(r->base_url, ca, r->tls_cert_file, r->tls_key_file, e);
}

struct config *
runnercmd_edit(struct confedit *c, const char *path, struct err *e)
{
	if (confedit_open(c, path, CONFEDIT_MUST_EXIST, e) < 0)
		return NULL;
	return config_parse(c->path, buf_str(&c->t.text), NULL, NULL, e);
}

struct toml *
runnercmd_entry(struct toml *root, size_t i)
{
	struct toml *t = key_value(K_GLOBAL_runners, root);

	t = t != NULL ? t->first : NULL;
	while (t != NULL && i-- > 0)
		t = t->next;
	return t;
}

struct str
runnercmd_gpus(const struct runner *r)
{
	return str_from(r->docker.gpus);
}

bool
runnercmd_selects(const struct selection *s, const struct runner *r)
{
	bool any_url = s->url == NULL || s->url[0] == '\0' || strcmp(s->url, "*") == 0, url = any_url;

	if (!any_url) {
		char *base = base_url(s->url);

		url = strcmp(base, r->base_url) == 0;
		free(base);
	}
	return url && (s->name == NULL || s->name[0] == '\0' || strcmp(s->name, r->name) == 0) &&
	    (!secret_is_set(s->token) || secret_equal(s->token, r->token));
}

/* Byte by byte: what follows the line belongs to whoever reads next. */
char *
runnercmd_read_line(int signals, struct err *e)
{
	struct buf b = { .max = LINE_MAX_BYTES };

	for (;;) {
		struct pollfd p[2] = { { STDIN_FILENO, POLLIN, 0 }, { signals, POLLIN, 0 } };
		ssize_t n;
		char c;

		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			err_sys(e, "poll");
			break;
		}
		if (p[1].revents != 0) {
			err_set(e, ERR_CANCELLED, 0, "interrupted");
			break;
		}
		n = read(STDIN_FILENO, &c, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0) {
			err_sys(e, "read the answer");
			break;
		}
		if (n == 0 && b.n == 0) {
			err_set(e, ERR_NOTFOUND, 0, "the input has ended");
			break;
		}
		if (n == 0 || c == '\n') {
			if (b.failed) {
				err_set(e, ERR_FULL, 0, "a line of more than %u bytes", LINE_MAX_BYTES);
				break;
			}
			if (b.n > 0 && b.p[b.n - 1] == '\r')
				buf_cut(&b, b.n - 1);
			return buf_take(&b);
		}
		buf_putc(&b, c);
	}
	buf_wipe(&b);
	return NULL;
}

void
runnercmd_date(wall_t t, char out[RUNNERCMD_DATE_MAX])
{
	char text[TIME_RFC3339_MAX];

	if (!wall_known(t)) {
		snprintf(out, RUNNERCMD_DATE_MAX, "0001-01-01T00:00:00Z");
		return;
	}
	time_rfc3339(t, 0, text);
	snprintf(out, RUNNERCMD_DATE_MAX, "%s", text);
}
