/*
 * What `ls`, `top` and `why` share: how they find the manager's state, and
 * how they put it into words, tables and JSON. They only read.
 *
 * What came from a job, a cloud or GitLab is shown without control characters: nobody's text moves the cursor of an operator.
 */
#ifndef CMD_WATCH_H
#define CMD_WATCH_H

#include "books/events.h"
#include "core/opt.h"
#include "manager/view.h"
#include "wire/json.h"

#define OPT_JSON	{ .name = "json", .type = OPT_BOOL, .help = "all that is known, as JSON" }

/* state_dir NULL: the default. malloc'd path in *dir. 0, or -1 when it was said why not. */
int	watch_load(struct view *v, const char *command, const char *state_dir, const char *store, char **dir);
/* "No windlass runs on ...", or that what follows is old and why; nothing when all is well. */
void	watch_put_dead(struct buf *b, const struct view *v, const char *state_dir, wall_t now);

/* The moment that ages are counted to: now, or that of a snapshot which is old. */
wall_t	watch_as_of(const struct view *v, wall_t now);

/* The members of an object that is open: manager, pools, machines, jobs. */
void	watch_json(struct json_w *w, const struct view *v);
void	watch_json_pool(struct json_w *w, const struct view_pool *p);
void	watch_json_machine(struct json_w *w, const struct view_machine *m);
void	watch_json_job(struct json_w *w, const struct view_job *j);
void	watch_json_events(struct json_w *w, const struct event_record *ev, size_t n);

/* Text without control characters. */
void	watch_put_clean(struct buf *b, const char *s);
/* "12s", "3m4s", "2h5m", "3d4h" since t; "-" for 0. */
void	watch_put_age(struct buf *b, wall_t t, wall_t now);
/* How many columns a terminal needs for it: one a character. */
size_t	watch_columns(struct str s);
/* "2026-03-01 08:15:30" in UTC. */
void	watch_put_time(struct buf *b, wall_t t);

/* A table: cells are appended with watch_put_clean() and the like to `cell`, and ended by watch_cell(). */
#define WATCH_COLUMNS_MAX	8
struct watch_table {
	size_t		 ncolumns;
	size_t		 width[WATCH_COLUMNS_MAX];
	struct buf	 text;		/* all cells, each ended by a NUL */
	struct buf	 cell;
	size_t		 n;		/* cells */
};
void	watch_cell(struct watch_table *t);
void	watch_cell_text(struct watch_table *t, const char *s);
/* Lines, each cut at `columns` (0: not) and ended by "\n"; at most `rows` of them (0: all), the last one then says how many are left out. */
void	watch_table_put(struct watch_table *t, struct buf *b, size_t columns, size_t rows);
bool	watch_table_empty(const struct watch_table *t);	/* nothing but its heading */
/* As much of a line as fits into so many columns; the last one is an ellipsis when something is cut off. */
void	watch_put_fit(struct buf *b, struct str s, size_t columns);
void	watch_table_free(struct watch_table *t);

/* For a terminal of few columns: names are shortened, and what can be done without is left out. */
enum watch_width { WATCH_WIDE, WATCH_NARROW };

/* Rows with their heading. */
void	watch_table_pools(struct watch_table *t, const struct view *v, enum watch_width width, wall_t now);
void	watch_table_machines(struct watch_table *t, const struct view *v, enum watch_width width, wall_t now);
void	watch_table_jobs(struct watch_table *t, const struct view *v, enum watch_width width, wall_t now);
/* A machine's name, or an ellipsis and as much of its end as tells it from the others. */
void	watch_put_short(struct buf *b, const struct view *v, const char *name);

/* What is the matter with it, or what it waits for: one clause. */
void	watch_machine_note(struct buf *b, const struct view_machine *m, wall_t now);
/* What a waiting job waits for, and until when. */
void	watch_put_waiting(struct buf *b, const struct view_job *j, wall_t now);
void	watch_pool_note(struct buf *b, const struct view_pool *p, wall_t now);
/* What happened, without its time; `self` is the machine or job whose story it is and need not be named. */
void	watch_event_text(struct buf *b, const struct view *v, const struct event_record *ev, const char *self);
/* "bastion-1 (AbCdEfGhI)", as much of it as is known. */
void	watch_put_pool_name(struct buf *b, const struct view *v, const char *key);

#endif
