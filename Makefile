# The targets of daily work. `make run` and `make test` set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# What `make run` ships when nobody says otherwise: real logs with failed logins, one a writer.
SAMPLES := tests/samples/mariadb/mariadb_10.11_logins.log \
	tests/samples/percona-json/percona_8.0_json_logins.json \
	tests/samples/percona-old/percona_8.0_old_Z.xml \
	tests/samples/percona-csv/percona_5.7_csv.csv \
	tests/samples/enterprise-json/enterprise_8.0.20_json_oneline.json \
	tests/samples/filter-new/percona_filter_8.4.8_new_illustrative.xml \
	tests/samples/aurora-mysql/aurora_mysql.log \
	tests/samples/mcafee-json/mcafee_activity_2015.json
LOG ?= $(SAMPLES)
# A log of one's own gets a store of its own.
STORE ?= build/$(if $(filter file,$(origin LOG)),samples,audit).db
SECONDS ?= 60
KILLS ?= 300

# The oldest Python that must do: Debian 12's own is 3.11.2.
OLDEST ?= /usr/bin/python3

.PHONY: setup run test oldest check fmt bench demo detection fuzz crash dashboards pictures kubernetes \
	servers image clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt tests/make-venv
	tests/make-venv $(PYTHON) $(VENV)
	@touch $@

# By the environment: in the text of the command, a quote in a file's name would end it.
run: export LOGS := $(LOG)
run: setup
	@mkdir -p build
	@set -- $$LOGS; [ ! -e "$$LOGS" ] || set -- "$$LOGS"; \
		$(BIN)/audit-shipper ship "$$@" --to "sqlite:$(STORE)" || case $$? in 1|4) ;; *) exit 1;; esac
	@$(BIN)/audit-shipper report failed-logins --store "sqlite:$(STORE)" --all

test: setup
	$(BIN)/pytest

# The readers of XML and JSON once more, where regular expressions differ: Python before 3.11.5 has
# a fault in possessive groups (gh-106052). Nothing to do where that is the Python of `make test`.
oldest: setup
	@[ "$$($(OLDEST) -V)" = "$$($(BIN)/python -V)" ] || { \
		tests/make-venv $(OLDEST) build/oldest && \
		build/oldest/bin/pytest tests/decode/test_samples.py tests/decode/test_damage.py \
			tests/decode/test_xml_old.py tests/decode/test_xml_new.py \
			tests/decode/test_array_json.py; }

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python tests/bench/bench.py
	$(BIN)/python tests/bench/sql.py
	PYTHONPATH=.:tests $(BIN)/python -m bench.watching
	PYTHONPATH=.:tests $(BIN)/python -m bench.watched
	$(BIN)/python tests/bench/daemon.py

demo: setup
	$(BIN)/python tests/proof/stack.py

detection: setup
	$(BIN)/python tests/detect/score.py

fuzz: setup
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	$(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS)

crash: setup
	$(BIN)/python tests/crash/crash.py --kills $(KILLS)
	$(BIN)/python tests/crash/crash.py --kills $(KILLS) --power-loss
	$(BIN)/python tests/crash/many.py
	$(BIN)/python tests/crash/outage.py
	$(BIN)/python tests/crash/opensearch.py --kills $(KILLS)
	$(BIN)/python tests/crash/alerts.py --kills $(KILLS)

dashboards: setup
	$(BIN)/python -m dashboards.generator

pictures: setup
	$(BIN)/python tests/boards/pictures.py

# Charts and image on a real API server and a real kubelet, built from Go's modules. `make test` has
# them too, and skips what the machine forbids; here nothing is skipped.
kubernetes: setup
	tests/servers/install-kubernetes
	REQUIRE_CLUSTER=1 $(BIN)/pytest tests/charts tests/image

servers:
	tests/servers/install

# Needs buildah or podman. Other bases: make image IMAGE_OPTIONS="--build-arg=BASE=..."
IMAGE ?= audit-shipper:$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' shipper/__init__.py)
image:
	buildah bud --timestamp=0 --tag=$(IMAGE) --build-arg=VERSION=$(lastword $(subst :, ,$(IMAGE))) \
		--build-arg=REVISION=$$(git rev-parse HEAD) $(IMAGE_OPTIONS) --file=Containerfile .

clean:
	rm -rf $(VENV) build .cache .servers
