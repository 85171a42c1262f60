#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The KUnit suites ran at boot; here their results become part of the selftests.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

results=/sys/kernel/debug/kunit
[ -d $results/cdm_zonelist ] || skip_all "a kernel without CONFIG_CDM_KUNIT_TEST"

cases=()
while read -r result _ name; do
	cases+=("$name:$result")
done < <(sed -n 's/^    \(ok\|not ok\) \([0-9]*\) \([a-z_0-9]*\).*/\1 \2 \3/p' \
	$results/cdm_*/results | sed 's/^not ok/not_ok/')

ktap_print_header
[ ${#cases[@]} -gt 0 ] || ktap_exit_fail_msg "no results in $results"
ktap_set_plan ${#cases[@]}
for case in "${cases[@]}"; do
	if [ "${case#*:}" = ok ]; then
		ktap_test_pass "${case%:*}"
	else
		ktap_test_fail "${case%:*}"
	fi
done
ktap_finished
