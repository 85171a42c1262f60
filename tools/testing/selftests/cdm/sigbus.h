/* SPDX-License-Identifier: GPL-2.0 */
/* For tests that touch memory that may be lost: if (sigsetjmp(lost, 1)), it was. */
#ifndef _CDM_SIGBUS_H
#define _CDM_SIGBUS_H

#include <setjmp.h>
#include <signal.h>

static __thread sigjmp_buf lost;

static void on_sigbus(int sig)
{
	siglongjmp(lost, 1);
}

#endif /* _CDM_SIGBUS_H */
