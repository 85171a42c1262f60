/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A page is retired while its block comes online or goes: mm/cdm_pages.c.
 *
 * A retirement adds to the list and then looks whether the page is online, and marks it;
 * onlining puts the page online and then looks at the list, before anybody can allocate.
 * Offlining gives what is marked to the list.
 *
 * What is shown: once a page was retired, nobody gets it, however often its block comes and goes.
 *
 * With LOOK_FIRST a retirement looks before it adds, and spin has to find the page that is missed.
 */
bool listed;		/* cdm_bad_pfns has it */
bool online;		/* pfn_to_online_page() finds it */
bool usable;		/* pages of the block can be allocated */
bool marked;		/* PageHWPoison, which goes with the struct page's block */
bool retired;		/* cdm_node_retire_page() has returned */

proctype retire()
{
#ifdef LOOK_FIRST
	bool was_online = online;

	listed = true;
	if
	:: was_online -> marked = true
	:: else -> skip
	fi;
#else
	listed = true;
	if
	:: online -> marked = true
	:: else -> skip
	fi;
#endif
	retired = true
}

proctype hotplug()
{
	byte times = 0;

	do
	:: times < 2 ->
		/* online_pages(): cdm_withhold_bad_pages() is in between */
		online = true;
		if
		:: listed -> marked = true
		:: else -> skip
		fi;
		usable = true;
		/* offline_pages(), and cdm_remember_bad_pages() */
		usable = false;
		if
		:: marked -> listed = true
		:: else -> skip
		fi;
		atomic { online = false; marked = false };
		times++
	:: else -> break
	od;
	online = true;
	if
	:: listed -> marked = true
	:: else -> skip
	fi;
	usable = true
}

/* At any moment */
active proctype owner()
{
	do
	:: atomic { usable -> assert(!(retired && !marked)) }
	:: timeout -> break
	od
}

init { atomic { run retire(); run hotplug() } }
