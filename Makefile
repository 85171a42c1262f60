# SPDX-License-Identifier: GPL-2.0
# Coherent device memory for Linux: the entry point for people. "make help" says more.
# The kernel's own build does not see this file: what is ours is laid over its tree.

KERNEL ?= cdm
ARCH ?= x86_64
KVER ?= 6.12
export ARCH KVER

help:
	@echo 'Coherent device memory (CDM) for Linux'
	@echo
	@echo '  make run KERNEL=stock     the demonstration, on a kernel of Debian'"'"'s and with our module: 3 minutes'
	@echo '  make run                  the same on our kernel and on an unpatched one: builds two kernels'
	@echo '  make test                 KUnit and the selftests, in virtual machines'
	@echo '  make test-all             and races, many cycles, load and malice'
	@echo '  make test-short KERNEL=debug  a quarter of an hour of it, with KASAN, lockdep and the like'
	@echo '  make test KERNEL=vanilla  the isolation tests where they must fail'
	@echo '  make test KERNEL=stock    the module, on Debian'"'"'s kernel; also stock-6.1-cloud, stock-6.12-generic,'
	@echo '                            stock-6.1-generic, and stock-debug, with checkers'
	@echo '  make bench                in instructions, against the unpatched kernel and what drivers use today'
	@echo '  make test-all KERNEL=gcov  and which of our lines and branches that runs; kcsan: data races'
	@echo '  make test KVER=7.3        on Debian'"'"'s current kernel; run, kernel, audit and series know it, too'
	@echo '  make test ARCH=arm64      on another architecture, emulated, also arm64-64k, with larger pages, and'
	@echo '                            ppc64le: compilers, programs are Debian'"'"'s; run, kernel and bench know it, too'
	@echo '  make test-matrix          make test for each version and architecture, and one table of it'
	@echo '  make kernel [KERNEL=K]    build a kernel: cdm, vanilla, debug, gcov, kcsan, stock, off (CONFIG_CDM=n)'
	@echo '  make deb                  the module as a package for DKMS, in build/deb/'
	@echo '  make test-deb             install it on a Debian system that is made for it, and use it: a quarter of an hour'
	@echo '  make lint                 checkpatch, sparse, kernel-doc, W=1, shellcheck, the patches, audit'
	@echo '  make htmldocs             our documents through Sphinx, in build/docs/; fails at a warning'
	@echo '  make audit                has every place in the kernel that meets nodes its verdict?'
	@echo '  make model                spin checks the protocol of allocation, hotplug and removal'
	@echo '  make verdicts             which tests fail on the unpatched kernel, for the documentation'
	@echo '  make series               the changes to the kernel as mails for git am, in build/series/'
	@echo '  make series-check         each applied, compiled, the groups booted, and compared: up to an hour'
	@echo '  make install              cdmctl, its man page and completion (prefix=, DESTDIR=); uninstall, too'
	@echo '  make clean                remove build/, and cdmctl where it was built'
	@echo
	@echo 'A shell in a virtual machine: scripts/vm --topology seed (scripts/vm --help).'
	@echo 'What is missing, Debian packages too, is installed. The rest is in build/ and ccache'"'"'s folder.'

deps:
	@scripts/deps

run:
	@scripts/run --kernel $(KERNEL)

test: deps
	@scripts/test --kernel $(KERNEL)

test-all: deps
	@scripts/test --kernel $(KERNEL) --all
	@case $(ARCH)-$(KERNEL) in x86_64-cdm) scripts/check-off ;; esac

test-matrix:
	@scripts/test-matrix

test-short: deps
	@scripts/test --kernel $(KERNEL) --short

bench: deps
	@scripts/bench

deb:
	@scripts/deb

test-deb: deps
	@scripts/test-deb $(if $(filter command line,$(origin KERNEL)),$(KERNEL))

kernel: deps
	@scripts/kernel $(KERNEL)

lint: deps
	@scripts/lint

htmldocs: deps
	@scripts/htmldocs

audit: deps
	@scripts/audit

model: deps
	@scripts/model

# against the newest kernel, unless another one is asked for
newest := $(shell ls patches | sort -V | tail -n 1)
series series-check: export KVER := $(if $(filter file,$(origin KVER)),$(newest),$(KVER))

series: deps
	@scripts/series

series-check: deps
	@scripts/series --check

install:
	@scripts/deps cdmctl
	@$(MAKE) -C tools/cdm install

verdicts: deps
	@scripts/verdicts

uninstall:
	@$(MAKE) -C tools/cdm uninstall

clean:
	rm -rf build
	@$(MAKE) -s -C tools/cdm clean

.PHONY: help deps run test test-all test-matrix test-short bench deb test-deb kernel lint htmldocs audit verdicts model series series-check install uninstall clean
