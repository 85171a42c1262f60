/* SPDX-License-Identifier: GPL-2.0 */
/* A device whose memory /dev/cdm_test registers as a test wants it, instead of its driver. */
#ifndef _CDM_TAKE_OVER_H
#define _CDM_TAKE_OVER_H

#include <libgen.h>
#include <sys/ioctl.h>

#include "../../../../drivers/cdm/tests/cdm_test_uapi.h"
#include "util.h"

/* The PCI device whose memory node @nid is, and where that memory is */
static inline int find_range(int nid, char *pci, size_t size, struct cdm_test_register *req)
{
	char path[PATH_MAX], target[PATH_MAX];
	unsigned long long first, last;
	FILE *file;
	int rc;

	rc = device_file(nid, "device", path, sizeof(path));
	if (rc || !realpath(path, target))
		return rc ?: -errno;
	snprintf(pci, size, "%s", basename(target));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", pci);
	file = fopen(path, "r");
	if (!file)
		return -errno;
	if (fscanf(file, "%*[^\n]\n%*[^\n]\n%llx %llx", &first, &last) != 2)
		rc = -EIO;
	fclose(file);
	req->start = first;
	req->size = last - first + 1;
	req->nid = nid;
	return rc;
}

/* Node @nid's memory, as @req says; the PCI device is in @pci. 0, or a negative errno. */
static inline int take_over(int fd, int nid, char *pci, size_t size, struct cdm_test_register *req)
{
	int rc = find_range(nid, pci, size, req);

	if (rc)
		return rc;
	rc = write_file("/sys/bus/pci/drivers/cdm_pci/unbind", pci);
	if (rc)
		return rc;
	snprintf(req->parent, sizeof(req->parent), "%s", pci);
	return ioctl(fd, CDM_TEST_REGISTER, req) ? -errno : 0;
}

static inline int give_back(int fd, const char *pci)
{
	if (ioctl(fd, CDM_TEST_UNREGISTER, 60))
		return -errno;
	return write_file("/sys/bus/pci/drivers/cdm_pci/bind", pci);
}

#endif /* _CDM_TAKE_OVER_H */
