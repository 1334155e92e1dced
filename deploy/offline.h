/* What tallyd does on a data directory that no daemon has open: verify, rebuild, dump. */
#ifndef DEPLOY_OFFLINE_H
#define DEPLOY_OFFLINE_H

/* operands[0] is the verb. Prints to stdout; returns the exit code of the process. */
int offline_run(const char *data_dir, const char *mark_path, int operand_count, char **operands);

#endif
