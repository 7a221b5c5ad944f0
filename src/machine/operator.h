/*
 * The operator: the process that takes the steps of one operation (operation.h), or of a round
 * (round.h).
 *
 * It is started by the manager, as root where the manager is, gives that up before it reads what
 * anybody sent, and writes nothing but the store and what is known of its cloud account.
 */
#ifndef MACHINE_OPERATOR_H
#define MACHINE_OPERATOR_H

/*
 * The process. argv: windlass-operator --store DIR --name NAME --do create|remove|look|settle
 * [--plan-fd N] [--owner HEX] [--control-fd N] [--reason TEXT] [--limit SECONDS].
 *
 * Plan: {"driver", "options": ["k=v"], "runner", "owner", "options_hash", "ready_command", "clouds"
 * (the directory of books/account.h), "account" (its key there), "watched"}; the last four count
 * also for a machine that is gone on with.
 *
 * To the manager it says (core/chan.h) "phase NAME PHASE" for each phase that is on disk, "gone NAME"
 * when the directory is gone, "wait UNIX_MS" when the cloud throttles, "error KIND TEXT" before it
 * fails. Anything that comes back, or the end of the other side, makes it stop.
 *
 * Exit: EXIT_OK, EXIT_FAIL, EXIT_BUSY, EXIT_RETRY, EXIT_QUOTA, EXIT_REFUSED, EXIT_CONFIG; look
 * (the cloud's word): EXIT_OK it is there, EXIT_GONE it is not, or is switched off; anything else:
 * not known.
 *
 * Rounds (round.h) need no name: --do reconcile [--grace SECONDS] with {"driver", "options",
 * "runners": ["key"], "prefixes": ["name-"]}, --do health with {"machines": ["name"], "probe":
 * ["name"]}, --do watch with {"driver", "options", "clouds", "account"}. What they find they say;
 * reconcile fails when the list was not whole or a stray would not go.
 */
int	operator_main(int argc, char **argv);

#endif
