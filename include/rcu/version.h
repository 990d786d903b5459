/* Which rcu these headers are of. */
#ifndef RCU_VERSION_H
#define RCU_VERSION_H

#define RCU_VERSION "0.1.0"

/* Changes whenever code that was compiled against older headers would no longer work: with the layout and the meaning
 * of struct rcu_slot, struct rcu_head and struct rcu_api, and with what the inline functions do to them. What is added
 * to the end of the table changes its size alone. */
#define RCU_ABI 1

#endif
