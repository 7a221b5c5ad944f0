/*
 * A job's output on its way to disk: container streams and the runner's own
 * lines through mask and time stamps into the trace file, and the checkpoint
 * from which a successor makes the very same bytes again.
 *
 * Bytes are collected in memory and written by output_write(); only what
 * stage.json vouches for afterwards counts (docs/state.md).
 */
#ifndef JOB_OUTPUT_H
#define JOB_OUTPUT_H

#include "job/work.h"
#include "wire/traceline.h"

struct output {
	int			 fd;		/* the trace file */
	int64_t			 length;	/* bytes of it that are written */
	struct mask_set		*set;
	struct tl_sink		 sink;
	struct tl_stream	 out, err, own;
	struct buf		 pending;	/* not written yet */
	bool			 sections;	/* features.trace_sections */
};

/* Opens the trace of a job that begins: everything in the file stays. 0 or -1. */
int	output_begin(struct output *o, int job_dir, const struct work *w, struct err *e);
/*
 * Opens it where a checkpoint left it: what was appended behind is cut off. ERR_SYS when the file is shorter than the checkpoint says
 * (the disk lost bytes): the log then goes on from its end with a line that says so.
 */
int	output_resume(struct output *o, int job_dir, const struct work *w, int64_t length, struct json_val saved, struct err *e);
/* The checkpoint's members ("out", "err", "own", "sink") into an open object. */
void	output_save(const struct output *o, struct json_w *w);
/* Writes what is pending, durably. 0 or -1 (a full disk: nothing is lost, call again). */
int	output_write(struct output *o, struct err *e);

/* A text about the job (an engine's error, say) with the job's secrets masked, appended to out. */
void	output_mask(const struct output *o, struct str text, struct buf *out);

/* Bytes of the job's containers; last: an entry of the engine's log, or a frame of an attach, ends here. */
void	output_feed(struct output *o, bool is_stderr, struct str bytes, wall_t at, bool last);
/* Nothing comes for the moment: lines that wait for their rest are shown as far as they are. */
void	output_pause(struct output *o);
/* The stage's streams end: held-back bytes are decided. */
void	output_stage_end(struct output *o);
/* Lines that tl_heading() and its like made, or any text of the runner; masked as well. */
void	output_lines(struct output *o, struct str text);
void	output_final(struct output *o, struct str text);	/* the same for the job's last lines: they get through the limit */
void	output_section_start(struct output *o, const char *stage);
void	output_section_end(struct output *o, const char *stage);

/* A line of the runner's own, in one of traceline's styles. */
void	output_say(struct output *o, void (*style)(struct buf *b, const char *fmt, ...),
	    const char *fmt, ...) PRINTFLIKE(3, 4);

#endif
