/* The executor process: runs one job on its machine's engine. */
#ifndef JOB_EXECUTOR_H
#define JOB_EXECUTOR_H

/* Arguments: docs/processes.md. Returns the exit status. */
int	executor_main(int argc, char **argv);

#endif
