/* SPDX-License-Identifier: GPL-2.0 */
/* The copy engine of the model device, between cdm_edu.c and cdm_pci_card.c. */
#ifndef _DRIVERS_CDM_EDU_H
#define _DRIVERS_CDM_EDU_H

struct page;

int cdm_edu_copy(struct page *to, struct page *from, unsigned long nr_pages);

#endif /* _DRIVERS_CDM_EDU_H */
