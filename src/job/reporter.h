/* The reporter process: sends one job's trace and result to GitLab and brings back a cancel. */
#ifndef JOB_REPORTER_H
#define JOB_REPORTER_H

/* Arguments: docs/processes.md. Returns the exit status. */
int	reporter_main(int argc, char **argv);

#endif
