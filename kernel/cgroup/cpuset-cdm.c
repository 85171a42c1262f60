// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: what cpusets say about it.
 *
 * The root's mems are system RAM, and so are those of everybody who inherits them: a CDM
 * node is in a cpuset's effective mems only where its cpuset.mems, or those of an ancestor
 * that it inherits from, name the node. Where no cpuset.mems from the task's up to the
 * root is set, cpusets have nothing to say, and the device's capabilities decide.
 *
 * Locking: cpuset_mutex, which all callers hold, protects cpuset_cdm_mems. Who allocates
 * or sets a policy reads cpuset.mems under RCU only: a write that comes at the same time
 * came before or after.
 */
#include <linux/cdm_node.h>
#include <linux/cpuset.h>
#include <linux/nodemask.h>
#include <linux/rcupdate.h>

#include "cpuset-internal.h"

/* CDM nodes with memory, as of the last hot plug event: what N_MEMORY is to the root */
static nodemask_t cpuset_cdm_mems;

/* Has a CDM node come or gone since the last time? Then the cpusets that name it change. */
bool cpuset_cdm_sync(void)
{
	if (nodes_equal(cpuset_cdm_mems, node_states[N_CDM]))
		return false;
	cpuset_cdm_mems = node_states[N_CDM];
	return true;
}

bool __cpuset_cdm_in_use(void)
{
	return !nodes_empty(cpuset_cdm_mems);
}

static bool is_restricted(const struct cpuset *cs)
{
	for (; cs->css.parent; cs = css_cs(cs->css.parent))
		if (!nodes_empty(cs->mems_allowed))
			return true;
	return false;
}

/* Has the administrator said which nodes @task may use? */
bool cpuset_cdm_is_restricted(struct task_struct *task)
{
	guard(rcu)();
	return is_restricted(task_cs(task));
}

/*
 * @mems is what cpuset.mems and the parent have in common. Of CDM nodes it is to have those
 * that cpuset.mems names, as far as the parent, if it is restricted itself, has them, too.
 * Without a RAM node @mems stays empty, and the caller takes the parent's.
 */
bool cpuset_cdm_grant(const struct cpuset *cs, nodemask_t *mems)
{
	const struct cpuset *parent = css_cs(cs->css.parent);
	nodemask_t granted;

	cdm_clear_nodes(mems);
	if (nodes_empty(*mems))
		return false;
	nodes_and(granted, cs->mems_allowed, cpuset_cdm_mems);
	if (is_restricted(parent))
		nodes_and(granted, granted, parent->effective_mems);
	nodes_or(*mems, *mems, granted);
	return true;
}

/*
 * May cpuset.mems be @mems, when the root's are @top? It has to keep a node with RAM, or
 * the tasks in it could not have a page of the kernel's.
 */
bool cpuset_cdm_may_set(const nodemask_t *mems, const nodemask_t *top)
{
	nodemask_t ram = *mems, others;

	cdm_clear_nodes(&ram);
	if (nodes_empty(ram) && !nodes_empty(*mems))
		return false;
	nodes_andnot(others, *mems, cpuset_cdm_mems);
	return nodes_subset(others, *top);
}

/* Are @p's mems a subset of @q's? Every CDM node may be named below the root. */
bool cpuset_cdm_is_subset(const struct cpuset *p, const struct cpuset *q)
{
	nodemask_t mems = p->mems_allowed;

	if (!q->css.parent)
		cdm_clear_nodes(&mems);
	return nodes_subset(mems, q->mems_allowed);
}
