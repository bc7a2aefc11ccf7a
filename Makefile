# On a machine with an NVIDIA GPU: make demo LOCK=requirements-gpu.lock (CUDA's libraries come from PyPI).
# Each target does all that it needs, from a fresh checkout on: Debian's base, Python 3.11 to 3.13 and make.

LOCK = requirements.lock
# Python caches bytecode, whatever the caller's shell says: without it, importing TensorFlow takes 15 s instead of 6.
export PYTHONDONTWRITEBYTECODE =
# Tests have as many processes as there are cores: threads of linear algebra would only wait for each other.
unit test: export OPENBLAS_NUM_THREADS = 1
COMPILE = .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --generate-hashes \
    --no-emit-index-url --no-annotate --no-header --quiet

.PHONY: help demo demo-open-bandit stack test-stack unit test soak docs lint lock clean

help:
	@echo "make demo              simulate some weeks, run the last days, show the verdicts and the report"
	@echo "make demo-open-bandit  the same with 60,000 real impressions of the Open Bandit sample"
	@echo "make unit              the tests that run in one process, without TensorFlow and Great Expectations; under a minute on two quiet cores"
	@echo "make test              lint, types, all tests, and which ten took longest"
	@echo "make stack             the production shape on this machine: PostgreSQL, S3, Prefect's server, a worker; runs a day"
	@echo "make test-stack        starts that and looks whether all of it works; three minutes"
	@echo "make soak              crash, race and statistical tests at full counts; hours"
	@echo "make docs              write the pages under docs/ that are made from the code"
	@echo "make bench-overhead    what a command costs beside its work, in seconds and in requests to a bucket"
	@echo "make bench-ingest      how fast a day of 10 million rows comes in; ROWS=50000000 for another size"
	@echo "make bench-many-files  what a day of many small files costs, beside one file of the same rows"
	@echo "make bench-training    how fast and how well training goes beside Keras, DeepCTR and FuxiCTR; ROWS=200000 for another size"
	@echo "make bench-feeding     how fast batches come, in how much memory, and how well they are shuffled"
	@echo "make bench-multilabel  15 labels, the rarest with four positives: class_weight against weights by label"
	@echo "make bench-weight-semantics  what class and sample weights touch on the installed Keras"
	@echo "make bench-mild        is anything needed at 1.7 : 1?"
	@echo "make bench-step-size   weights of 1 and 100 against normalised ones, with SGD and with Adam"
	@echo "make bench-freshness   one pass more through young labels: what it is worth, and what taking them as final costs"
	@echo "make bench-level       the served level on simulated worlds, as judged and with the newest labels' level"
	@echo "make bench-campaign-levels  traffic in campaigns whose level is off, with intercepts as served, without, and others"
	@echo "make bench-steps       batches, rates and networks over real logs (REAL_DATA) and simulated ones: how many steps are enough"
	@echo "make bench-few-rows    ids of few training rows, beside the same ids given as unknown (REAL_DATA)"
	@echo "make bench-yardstick  what simple models of a window cost, by its rows"
	@echo "make bench-warm-start  how soon a warm start has the log loss of a cold one"
	@echo "make bench-real        beside logistic regression and LightGBM on real logs in the folder REAL_DATA; one set: ARGS=\"--sets hotel\""
	@echo "make bench-drift       false alarms a year and faults found by the drift detector, beside three usual ones"
	@echo "make bench-drift-rows  the same of a day's rows: duplicates, nulls, new values and users, outcomes without an impression"
	@echo "make bench-gate        how often the gate's intervals leave out a known truth, its slices a planted fault; years of nights"
	@echo "make bench-policy      simulated years in closed loop: the gate beside never, always, best AUC, an estimate, an oracle"
	@echo "make bench-policy-account  where the gate's regret in them comes from, by check"
	@echo "make bench-policy-models  errors of those years' surrogates beside trained networks'"
	@echo "make bench-compare-world  recency, class weights, sampling, focal loss on two simulated worlds"
	@echo "make lock              choose versions anew and write the lock files"
	@echo "make clean             remove .venv and var/"

demo: .venv/installed
	.venv/bin/ctr-retrain demo

demo-open-bandit: .venv/installed
	.venv/bin/pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
	    --dest var/open_bandit -r infra/open_bandit.txt
	.venv/bin/ctr-retrain demo-open-bandit --wheel var/open_bandit/obp-0.4.1-py3-none-any.whl

# In memory where Linux has 2 GB of it for files: on a disk, to write some 20,000 small ones and to delete those of an
# earlier run takes seconds. What fails keeps its folder.
FREE_GB = $(shell df --output=avail --block-size=G /dev/shm 2>/dev/null | tr -dc 0-9)
QUICK_FOLDER = $(shell test "$(FREE_GB)" -ge 2 2>/dev/null && echo /dev/shm || echo "$${TMPDIR:-/tmp}")
unit: .venv/installed
	TMPDIR=$(QUICK_FOLDER) .venv/bin/python -m pytest --numprocesses 2 --dist worksteal \
	    -o tmp_path_retention_policy=failed tests/unit

# Whole files, in their order: those of whole runs first and unit tests last, so that all processes end together. Three
# on two cores, since those of servers wait for a fifth of their time: 13 minutes 14 seconds instead of 15:23.
test: lint
	infra/browser.sh
	.venv/bin/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --durations=10

# Stays until Ctrl-C. FOLDER=/srv/ctr-stack for another folder than var/stack.
stack: .venv/installed
	infra/postgres.sh
	.venv/bin/python -m infra.stack.start_stack $(if $(FOLDER),--folder $(FOLDER)) $(ARGS)

test-stack: .venv/installed
	infra/postgres.sh
	infra/browser.sh
	.venv/bin/python -m pytest tests/stack

# Each test file that draws: more kills, rounds, worlds and histories than `make test` has time for.
soak: .venv/installed
	SOAK=1 .venv/bin/python -m pytest --numprocesses 2 --dist loadfile --override-ini timeout=3000 \
	    $$(grep -lrE "^from (tests.support.counts|hypothesis) " tests --include="test_*.py")

docs: .venv/installed
	.venv/bin/python -m tests.docs

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench-%: .venv/installed
	.venv/bin/python -m tests.benchmarks.$(subst -,_,$*) $(if $(ROWS),--rows $(ROWS)) $(ARGS)

lock: .venv/installed
	$(COMPILE) --extra dev --output-file requirements.lock
	cp requirements.lock requirements-gpu.lock
	$(subst --upgrade,,$(COMPILE)) --extra dev --extra gpu --output-file requirements-gpu.lock

clean:
	rm -rf .venv var

.venv/installed: $(LOCK) pyproject.toml infra/install.sh
	infra/install.sh $(LOCK)
