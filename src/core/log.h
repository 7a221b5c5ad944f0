/*
 * The process log: one line an event, to stderr. Three formats as upstream
 * names them (spec gitlab-runner 3.9): runner (default), text, json. Fields
 * are typed and there is no type for secrets, so a secret cannot get here by
 * way of a field.
 *
 *	log_info("Machine created", F_STR("name", m->name), F_DUR("duration", ns));
 *
 * Every line is one write(2), so lines of several processes do not mix. What is not to be seen
 * in a text (control characters of all kinds, what is no UTF-8) is written as an escape.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "core/err.h"
#include "core/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL };
enum log_format { LOG_RUNNER, LOG_TEXT, LOG_JSON };
enum log_type { LF_STR, LF_INT, LF_DUR, LF_VIEW };

struct log_field {
	const char	*key;
	enum log_type	 type;
	const char	*s;
	size_t		 n;
	int64_t		 i;
};

#define F_STR(k, v)	((struct log_field){ (k), LF_STR, (v), 0, 0 })
#define F_VIEW(k, v)	((struct log_field){ (k), LF_VIEW, (v).p, (v).n, 0 })
#define F_INT(k, v)	((struct log_field){ (k), LF_INT, NULL, 0, (int64_t)(v) })
#define F_DUR(k, ns)	((struct log_field){ (k), LF_DUR, NULL, 0, (int64_t)(ns) })	/* printed as Go prints it */
#define F_ERR(e)	((struct log_field){ "error", LF_STR, (e)->msg, 0, 0 })

#define log_debug(msg, ...)	LOG_LINE(LOG_DEBUG, (msg), ##__VA_ARGS__)
#define log_info(msg, ...)	LOG_LINE(LOG_INFO, (msg), ##__VA_ARGS__)
#define log_warn(msg, ...)	LOG_LINE(LOG_WARN, (msg), ##__VA_ARGS__)
#define log_error(msg, ...)	LOG_LINE(LOG_ERROR, (msg), ##__VA_ARGS__)
#define LOG_LINE(lv, msg, ...) do { \
	const struct log_field lf_[] = { { NULL, LF_STR, NULL, 0, 0 }, ##__VA_ARGS__ }; \
	log_line((lv), (msg), lf_ + 1, NELEM(lf_) - 1); \
} while (0)

void	log_setup(enum log_level level, enum log_format format);
/* Fields put on every later line of this process (job, runner, name); the strings must live on. */
void	log_context(const char *key, const char *value);
/*
 * Every text of a later line's fields goes through this first: filter() appends to out what may be written of it. An executor
 * masks its job's secrets so, since whatever an engine or an image says may hold one. NULL ends it; ctx must live as long.
 */
struct buf;
typedef void log_filter_fn(const void *ctx, struct str text, struct buf *out);
void	log_filter(log_filter_fn *filter, const void *ctx);
int	log_level_parse(struct str s, enum log_level *level);	/* debug info warn[ing] error fatal panic */
int	log_format_parse(struct str s, enum log_format *format);
enum log_level log_level(void);
enum log_format log_format(void);
const char *log_level_name(enum log_level level);
const char *log_format_name(enum log_format format);
/* How many lines of that level this process has written or left out. */
uint64_t log_count(enum log_level level);
void	log_line(enum log_level level, const char *msg, const struct log_field *f, size_t n);

#endif
