/*
 * When config.toml changes what runs: only a file that was read and is whole
 * does. Deployments remove it and write it anew, copy over it in pieces, fill
 * the disk in the middle of it; file servers go away for a moment. Half a TOML
 * file is often a good one, with fewer runners in it, and the machines of a
 * runner that is not there cost a pool.
 *
 * So a changed file is looked at again before it counts, for longer when a
 * runner would leave by it; one that is missing, unreadable, broken or without
 * any runner leaves the last good one in force. Files that a command of
 * windlass wrote are whole by its own word (confedit.h), and SIGHUP is the
 * operator's.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "config/confedit.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/notify.h"
#include "manager/parts.h"

#define CONFIG_CHECK	(3 * NSEC_SEC)		/* spec gitlab-runner 2.2 */
#define CONFIG_MAX	(8u << 20)
/* How long a file must stay as it is before it counts; and one by which a runner leaves. */
#define SETTLE		NSEC_SEC
#define SETTLE_LEAVES	(5 * NSEC_SEC)

/* One look at the file: its bytes, or why there are none. */
struct look {
	struct buf	 text;
	struct err	 e;		/* ERR_NONE: it was read */
	uint64_t	 stamp;		/* another one when anything about the file is different */
	wall_t		 mtime;
};

static uint64_t
stamp_of(const char *path, struct stat *st, int *error)
{
	*error = stat(path, st) < 0 ? errno : 0;
	if (*error != 0)
		return hash_fnv(str_of((const char *)error, sizeof(*error)));
	{
		const int64_t v[] = { (int64_t)st->st_dev, (int64_t)st->st_ino, st->st_size, st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
		    st->st_ctim.tv_sec, st->st_ctim.tv_nsec };

		return hash_fnv(str_of((const char *)v, sizeof(v)));
	}
}

static void
look_at(const char *path, struct look *l)
{
	struct stat st;
	int error;

	*l = (struct look){ .text = { .max = CONFIG_MAX } };
	l->stamp = stamp_of(path, &st, &error);
	if (error != 0) {
		errno = error;
		err_sys(&l->e, "%s", path);
		return;
	}
	l->mtime = wall_add(wall_of_seconds(st.st_mtim.tv_sec), st.st_mtim.tv_nsec);
	/* A pipe would be waited for. */
	if (!S_ISREG(st.st_mode)) {
		err_set(&l->e, ERR_CONFIG, 0, "%s is no file%s", path, S_ISDIR(st.st_mode) ? " but a directory" : "");
		return;
	}
	if (fs_read(AT_FDCWD, path, CONFIG_MAX, &l->text, &l->e) == 0) {
		/* Written to while it was read, or on a file server whose times are coarse: the bytes count as well. */
		uint64_t both[2] = { l->stamp, hash_fnv(buf_str(&l->text)) };

		l->stamp = hash_fnv(str_of((const char *)both, sizeof(both)));
	}
}

/* Whether an entry that can run would not be there any more, or not run. */
static bool
takes_away(const struct config *old, const struct config *new)
{
	for (size_t i = 0; i < old->nrunners; i++) {
		bool there = old->runners[i].disabled != NULL;

		for (size_t k = 0; k < new->nrunners && !there; k++)
			there = strcmp(old->runners[i].key, new->runners[k].key) == 0 && new->runners[k].disabled == NULL;
		if (!there)
			return true;
	}
	return false;
}

/* Why the file as it is does not count, however long it stays so; NULL: it may. *c is what it says, when it says something. */
static const char *
fault_of(struct manager *m, struct look *l, bool meant, struct config **c)
{
	*c = l->e.kind == ERR_NONE ? config_parse(m->config_path, buf_str(&l->text), NULL, NULL, &l->e) : NULL;
	if (*c == NULL)
		return l->e.msg;
	if (m->config->nrunners == 0 || (*c)->nrunners > 0)
		return NULL;
	if (str_trim(buf_str(&l->text)).n == 0)
		return "it is empty";
	return meant ? NULL : "it has no [[runners]] any more. If that is meant, send SIGHUP (systemctl reload windlass)";
}

static void
config_says(void *ctx, enum log_level level, int line, const char *text)
{
	(void)ctx;
	log_line(level, text, &F_INT("line", line), 1);
}

void
reload_loaded(const struct manager *m, bool first)
{
	const struct config *c = m->config;
	size_t runs = config_runnable(c);

	/* Entries that are skipped, each with its reason above, do not run. */
	if (first)
		log_info("Configuration loaded", F_INT("builds", jobs_active(m, NULL)), F_INT("max_builds", c->concurrent), F_INT("runners", runs),
		    F_INT("skipped", c->nrunners - runs), F_STR("system_id", m->system_id), F_STR("state_dir", m->state_dir), F_STR("store", m->store));
	else
		log_info("Configuration loaded", F_INT("builds", jobs_active(m, NULL)), F_INT("max_builds", c->concurrent), F_INT("runners", runs),
		    F_INT("skipped", c->nrunners - runs));
}

/* The file is what it is to be: it is read once more, aloud, and taken. */
static void
take(struct manager *m, struct look *l, bool forced)
{
	struct config *c;

	/* The same words as before, by another hand: nothing to do, but that it is back is news. */
	if (hash_fnv(buf_str(&l->text)) == m->config->hash && !forced) {
		if (m->config_refused)
			log_info("The configuration is as it was", F_STR("config", m->config_path));
		return;
	}
	c = config_parse(m->config_path, buf_str(&l->text), config_says, m, &l->e);
	if (c == NULL)
		return;
	manager_apply(m, c);
	/* Who has mended something wants it tried now, not after unhealthy_interval (spec gitlab-runner 2.2). */
	LIST_EACH(struct pool, p, link, &m->pools)
		p->health = (struct health){ 0 };
	event_note(m, EVENT_MANAGER, ABOUT_ALL, "reloaded", "%s was read again", m->config_path);
	reload_loaded(m, false);
}

static void
refuse(struct manager *m, const char *why)
{
	notify_send("STATUS=%s", why);
	log_error("Failed to load config: the last good one stays in force", F_STR("config", m->config_path), F_STR("error", why));
	event_note(m, EVENT_MANAGER, ABOUT_ALL, "reload-failed", "%s", why);
}

/* How long this file must have been as it is: 0 when somebody vouches for it. */
static dur_t
patience(const struct manager *m, const struct look *l, const struct config *c, bool whole)
{
	dur_t age = wall_between(l->mtime, wall_now());

	if (whole || (l->e.kind == ERR_NONE && hash_fnv(buf_str(&l->text)) == m->config->hash))
		return 0;
	/* Whoever sends the signal has written the file before; not even he means one that is being written. */
	if (m->config_forced)
		return age > SETTLE || age < -SETTLE ? 0 : SETTLE;
	return c != NULL && takes_away(m->config, c) ? SETTLE_LEAVES : SETTLE;
}

static void
settled(struct manager *m, struct look *l, const char *fault)
{
	if (m->config_forced)
		notify_reloading();
	if (fault != NULL)
		refuse(m, fault);
	else
		take(m, l, m->config_forced);
	if (m->config_forced)
		notify_send("READY=1");
	m->config_refused = fault != NULL;
	m->config_stamp = l->stamp;
	m->config_pending = 0;
	m->config_forced = false;
}

static void
consider(struct manager *m)
{
	struct config *c = NULL;
	struct look l;
	const char *fault;
	dur_t left;
	bool whole;

	m->config_check = mono_after(CONFIG_CHECK);
	look_at(m->config_path, &l);
	if (l.stamp == m->config_stamp && !m->config_forced) {
		m->config_pending = 0;
		goto out;
	}
	if (l.stamp != m->config_pending) {
		m->config_pending = l.stamp;
		m->config_since = mono_now();
	}
	whole = l.e.kind == ERR_NONE && confedit_wrote(m->config_path, hash_fnv(buf_str(&l.text)));
	fault = fault_of(m, &l, whole || m->config_forced, &c);
	left = patience(m, &l, c, whole) - mono_since(m->config_since);
	if (left > 0)
		m->config_check = mono_after(left < SETTLE ? left : SETTLE);
	else
		settled(m, &l, fault);
out:
	config_free(c);
	buf_wipe(&l.text);
}

void
reload_note(struct manager *m)
{
	struct look l;

	look_at(m->config_path, &l);
	m->config_stamp = l.stamp;
	m->config_check = mono_after(CONFIG_CHECK);
	buf_wipe(&l.text);
}

int
reload_first(struct manager *m, struct err *e)
{
	struct config *c = config_load(m->config_path, config_says, m, e);
	struct stat st;

	if (c == NULL)
		return err_ctx(e, "the configuration cannot be loaded");
	if (stat(m->config_path, &st) < 0)
		log_warn("There is no such file: no runner runs until there is one", F_STR("config", m->config_path), F_STR("error", strerror(errno)));
	else if (c->nrunners == 0)
		log_warn("The file has no [[runners]]: no runner runs until it has", F_STR("config", m->config_path));
	manager_apply(m, c);
	return 0;
}

void
reload_tend(struct manager *m)
{
	if (mono_passed(m->config_check))
		consider(m);
}

void
reload_now(struct manager *m)
{
	m->config_forced = true;
	consider(m);
}
