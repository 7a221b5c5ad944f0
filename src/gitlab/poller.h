/* The poller process: asks GitLab for one job at a time when the manager says so. */
#ifndef GITLAB_POLLER_H
#define GITLAB_POLLER_H

/* Arguments and messages: docs/processes.md. Returns the exit status. */
int	poller_main(int argc, char **argv);

#endif
