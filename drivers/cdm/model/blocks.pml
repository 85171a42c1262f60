/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who allocates, who frees, and who takes a memory block offline: alloc.c, watch.c, hotplug.c.
 *
 * One block of PAGES pages. DRIVERS tasks allocate a page and free it; the core drains the
 * device and brings it back; another tool offlines the block and onlines it.
 *
 * What is shown:
 *  - a block that is offline has no page that a driver holds, or is about to count;
 *  - nobody allocates from a block that is offline;
 *  - whoever tries to take it offline comes to an end, and so does whoever allocates.
 *
 * With NO_GRACE_DRAIN, NO_GRACE_TOOL, COUNT_LATE or LOCK_KEPT one thing that the code does is
 * left out, and spin has to find what goes wrong then.
 */
#define DRIVERS		2
#define PAGES		2

mtype = { ONLINE, DRAINING };

mtype state = ONLINE;	/* cdm_state(): what an allocation looks at */
bool isolated;		/* the page allocator gives nothing of the block */
bool offline;
byte free_pages = PAGES;
byte held;		/* the block's counter */
byte taken;		/* pages that a driver has, counted or not */

/* Who takes blocks offline */
#define CORE		0
#define TOOL		1
#define NOBODY		2

/* device_hotplug_lock: whoever waits for it has it next */
byte owner = NOBODY;
bool wants[2];

inline lock(me)
{
	atomic {
		if
		:: owner == NOBODY -> owner = me
		:: else -> wants[me] = true
		fi
	};
	(owner == me)
}

inline unlock(me)
{
	atomic {
		if
		:: wants[1 - me] -> wants[1 - me] = false; owner = 1 - me
		:: else -> owner = NOBODY
		fi
	}
}

/* RCU: is driver i in a critical section, and does somebody wait for the end of this one? */
bool reading[DRIVERS];
bool core_waits[DRIVERS];
bool tool_waits[DRIVERS];

inline rcu_read_lock(i)
{
	reading[i] = true
}

inline rcu_read_unlock(i)
{
	atomic { reading[i] = false; core_waits[i] = false; tool_waits[i] = false }
}

/* Every section that had begun before has ended */
inline synchronize_rcu(waits)
{
	atomic { waits[0] = reading[0]; waits[1] = reading[1] };
	(!waits[0]);
	(!waits[1])
}

proctype driver(byte i)
{
	bool got;

	do
	:: true ->
		/* try_alloc() */
		rcu_read_lock(i);
		got = false;
		if
		:: state == ONLINE ->
			if
			:: atomic { !isolated && free_pages > 0 ->
				assert(!offline);
				free_pages--;
				taken++;
				got = true }
			:: else -> skip
			fi
		:: else -> skip
		fi;
#ifdef COUNT_LATE
		rcu_read_unlock(i);
		if
		:: got -> held++
		:: else -> skip
		fi;
#else
		if
		:: got -> held++
		:: else -> skip
		fi;
		rcu_read_unlock(i);
#endif
		/* put_back_on_device(): the count falls after the page is back */
		if
		:: got ->
			rcu_read_lock(i);
			atomic { free_pages++; taken-- };
			held--;
			rcu_read_unlock(i)
		:: else -> skip
		fi
	od
}

/* going_offline() of watch.c, the block being isolated, and what follows from its answer */
inline offline_block()
{
	if
	:: held > 0 -> isolated = false
	:: else ->
		/* movable pages of users move; those of drivers cannot */
		atomic { assert(taken == 0); offline = true }
	fi
}

inline online_block()
{
	if
	:: offline -> atomic { offline = false; isolated = false }
	:: else -> skip
	fi
}

/* cdm_device_offline() and _online(): the worker has waited when the transition began */
proctype core()
{
	do
	:: true ->
		state = DRAINING;
#ifndef NO_GRACE_DRAIN
		synchronize_rcu(core_waits);
#endif
		lock(CORE);
		if
		:: !offline && held == 0 ->
			isolated = true;
			offline_block()
		:: else -> skip
		fi;
		unlock(CORE);
		lock(CORE);
		online_block();
		unlock(CORE);
		state = ONLINE
	od
}

/* echo offline > memoryN/state, by anybody */
proctype tool()
{
	do
	:: true ->
		lock(TOOL);
		if
		:: !offline ->
			isolated = true;
#ifndef NO_GRACE_TOOL
			synchronize_rcu(tool_waits);
#endif
			offline_block()
		:: else -> online_block()
		fi;
#ifdef LOCK_KEPT
		(false)
#else
		unlock(TOOL)
#endif
	od
}

init {
	atomic {
		run driver(0);
		run driver(1);
		run core();
		run tool()
	}
}

/* A drain ends, if everybody gets to run */
ltl drain_ends { [] ((state == DRAINING) -> <> (state == ONLINE)) }
