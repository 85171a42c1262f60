/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A driver goes while its functions are called: ops.c, and cdm_ops_end() of a removal.
 *
 * Callers look at config.ops in a read-side critical section of SRCU and stay in it while the
 * driver's function runs. A removal clears the pointer, waits for all sections, and returns: then
 * the module's text may go.
 *
 * What is shown: no function runs after the removal has returned.
 *
 * With NO_WAIT the removal does not wait, and spin has to find the call into nothing.
 */
#define CALLERS	2

bool ops = true;
bool unloaded;
byte reading;		/* callers in a section; SRCU waits for all that there are */

active [CALLERS] proctype caller()
{
	do
	:: true ->
		reading++;
		if
		:: ops ->
			/* the function runs for a while */
			assert(!unloaded);
			assert(!unloaded)
		:: else -> skip
		fi;
		reading--
	:: unloaded -> break
	od
}

active proctype removal()
{
	ops = false;
#ifndef NO_WAIT
	/* who comes later sees that there is nothing to call */
	do
	:: reading == 0 -> break
	od;
#endif
	unloaded = true
}
