# The commands of contract 2.5. Each sets up what it needs, once; `make` alone lists them.

PYTHON ?= python3
PORT   ?= 3000
export PORT LOG NOW SUB SCOPES

VENV := .venv
BIN  := $(VENV)/bin

# On AWS the layers lie on the path; here they are put there. `local` is found from the root.
export PYTHONPATH := $(CURDIR)/layers/rules:$(CURDIR)/layers/ledger:$(CURDIR)/layers/http:$(CURDIR)

# Every version is in the lock file, so pip resolves nothing (--no-deps) and checks every hash.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes

SOURCES := $(wildcard functions layers local tests benchmarks)

.DEFAULT_GOAL := help
.PHONY: help setup run serve token redrive test deployed-test bench simulate mutants fuzz-api fuzz-input examples screenshots check sbom format lock clean
.DELETE_ON_ERROR:

help:
	@echo 'make run      replay the CDNOW purchase log through the whole club; LOG=file.csv another log, FULL=1 all of CDNOW'
	@echo 'make serve    the local stack on 127.0.0.1, with links to the privilege centre; PORT=3000'
	@echo '              it replays some members of CDNOW first; NOW=2026-11-22T10:15:00Z an empty club, its clock there'
	@echo 'make token    a token that the local stack accepts; SUB=m-42 SCOPES="club:read club:decide"'
	@echo 'make redrive  send the dead letters of a serving stack round again; PORT=3000'
	@echo 'make test     the whole test suite but for deployed-test; ARGS="-k refund" is handed to pytest'
	@echo 'make deployed-test  builds the template and deploys it to an emulator of AWS, runs it there over HTTP, and what was'
	@echo '              built behind Lambda'\''s own bootstrap; some minutes'
	@echo 'make bench    times, capacity and prices, in a table beside the stored figures; quarter of an hour; ARGS="--only rules"'
	@echo 'make simulate the club under faults in simulated time; SEEDS=2000 FIRST=0 JOBS=2, or SEED=7: one, with its trace;'
	@echo '              DEFECTS=1 plants defects, and tells which seed finds each'
	@echo '              EVERY=1 tries every fault at every call, and every pair of works in every order of their calls'
	@echo 'make mutants  plants small defects in the rules and the ledger; ARGS=club_rules.money: one module; hours'
	@echo 'make fuzz-api the API against openapi.json with made-up requests; EXAMPLES=1000 for each route'
	@echo 'make fuzz-input  the event parser and the key codec with hostile input; EXECUTIONS=1000000 SEED=1 FIRST=0'
	@echo 'make examples openapi.json with the answers that the local stack gives to its requests'
	@echo 'make screenshots  the picture of the privilege centre in the README, by the machine'\''s chromium'
	@echo 'make check    format, lint, types, template'
	@echo 'make sbom     the bill of materials of what is deployed, as CycloneDX JSON: build/sbom.json'
	@echo 'make format   let ruff format the code and mend what it can'
	@echo 'make lock     resolve the requirement files anew; UPGRADE=1 takes the newest versions'
	@echo 'make clean    remove what all of these made'

# --- what a reader runs -------------------------------------------------------------------------------------------

# Values come through the environment ("$$LOG"), so that a space or a quote in one is no trouble for the shell.
run: $(VENV)/.ready
	@set --; \
	if [ -n "$$LOG" ]; then set -- "$$@" --log "$$LOG"; fi; \
	$(if $(filter-out 0 no false,$(FULL)),set -- "$$@" --full;) \
	exec $(BIN)/python -m local replay "$$@"

serve: $(VENV)/.ready
	@set -- --port "$$PORT"; \
	if [ -n "$$NOW" ]; then set -- "$$@" --now "$$NOW"; fi; \
	exec $(BIN)/python -m local serve "$$@"

token: $(VENV)/.ready
	@if [ -z "$$SUB" ]; then echo 'Whose token? For example: make token SUB=m-42 SCOPES="club:read"' >&2; exit 2; fi; \
	exec $(BIN)/python -m local token --sub "$$SUB" --scopes "$$SCOPES"

redrive: $(VENV)/.ready
	@exec $(BIN)/python -m local redrive --port "$$PORT"

# --- what a builder runs ------------------------------------------------------------------------------------------

test: $(VENV)/.ready $(VENV)-emulator/.ready $(VENV)-sbom/.ready
	$(BIN)/python -m pytest -q -n auto --dist loadgroup --ignore tests/deployed tests $(ARGS)

# What is built is what is run: by an emulator that takes a real deployment, and by Lambda's own bootstrap.
deployed-test: $(VENV)/.ready $(VENV)-sam/.ready $(VENV)-emulator/.ready $(VENV)-runtime/.ready
	$(BIN)/python -m pytest -q -p no:xdist tests/deployed $(ARGS)

# What is built is what is timed; the figures and their charts go to build/bench/.
bench: $(VENV)/.ready $(VENV)-sam/.ready $(VENV)-emulator/.ready $(VENV)-runtime/.ready $(VENV)-naive/.ready
	@exec $(BIN)/python -m benchmarks $(ARGS)

# All cores; the figures go to build/simulation/.
simulate: $(VENV)/.ready
	@exec $(BIN)/python -m tests.simulation$(if $(filter-out 0 no false,$(DEFECTS)),.hunt) \
		$(if $(SEEDS),--seeds '$(SEEDS)') $(if $(FIRST),--first '$(FIRST)') $(if $(JOBS),--jobs '$(JOBS)') \
		$(if $(SEED),--seed '$(SEED)') $(if $(filter-out 0 no false,$(EVERY)),--every)

# Goes on where it was broken off. What is kept of it is in build/mutation.
mutants: $(VENV)/.ready
	$(BIN)/python -m tests.mutation $(ARGS)

# Other requests each time; `make test` makes up a few for each route, in CI always the same.
fuzz-api: $(VENV)/.ready
	FUZZ_EXAMPLES='$(or $(EXAMPLES),1000)' HYPOTHESIS_PROFILE=dev \
		$(BIN)/python -m pytest -q -n auto tests/local/test_api_fuzz.py $(ARGS)

# The same executions for the same SEED; `make test` runs the first 20,000 of seed 1.
fuzz-input: $(VENV)/.ready
	@exec $(BIN)/python -m tests.hostile $(if $(EXECUTIONS),--executions '$(EXECUTIONS)') \
		$(if $(SEED),--seed '$(SEED)') $(if $(FIRST),--first '$(FIRST)')

examples: $(VENV)/.ready
	$(BIN)/python -m tests.local.api_examples

screenshots: $(VENV)/.ready
	$(BIN)/python -m tests.browser.screenshots

# Each function is checked by itself, with its own folder on the path as on Lambda: every one has a module `app`.
# sam lives in its own environment. It asks for a region, and for no account and no network; a profile that is set
# would have to exist, so none is.
# What is deployed may import what requirements/runtime.in declares, and all of that has to be of use; so for the rest.
DEPLOYED := layers/rules layers/ledger layers/http $(wildcard functions/*/)
DEPTRY   := PYTHONWARNINGS='ignore:Unused option' $(BIN)/deptry --no-ansi

# What the linters of the template read is the file, and what CloudFormation makes of it: they find different things.
EXPANDED := build/template.expanded.json

check: $(VENV)/.ready $(VENV)-sam/.ready $(VENV)-checkov/.ready
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	@for each in functions/*/; do \
		echo "mypy $$each"; MYPYPATH="$$each" $(BIN)/mypy "$$each" || exit 1; \
	done
	$(DEPTRY) $(DEPLOYED) --requirements-files requirements/runtime.in
	$(DEPTRY) . $(DEPLOYED) --requirements-files requirements/dev.in
	$(BIN)/python -m local template expand --out $(EXPANDED)
	$(BIN)/cfn-lint --include-checks I -- template.yaml $(EXPANDED)
	$(VENV)-checkov/bin/checkov --skip-download --framework cloudformation --compact --quiet --file template.yaml $(EXPANDED)
	env -u AWS_PROFILE -u AWS_DEFAULT_PROFILE AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1 SAM_CLI_TELEMETRY=0 \
		$(VENV)-sam/bin/sam validate --lint --template-file template.yaml

# What is deployed beside our own code is the dependencies layer, and nothing else: it is built as `sam build` does, and
# what lies in it is written down, from a Python that sees nothing but it. The same commit gives the same file.
SBOM := build/sbom
sbom: $(VENV)-sbom/.ready
	@rm -rf $(SBOM) && mkdir -p $(SBOM)
	@$(MAKE) --no-print-directory -C layers/dependencies build-DependenciesLayer ARTIFACTS_DIR='$(abspath $(SBOM))'
	@$(VENV)-sbom/bin/python -m venv --without-pip $(SBOM)/bare
	@echo '$(abspath $(SBOM))/python' >"$$($(SBOM)/bare/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/layer.pth"
	@{ \
		printf '[project]\nname = "buyers-club"\nlicense = "Apache-2.0"\nversion = "%s"\ndependencies = [\n' \
			"$$(git describe --always --dirty 2>/dev/null || echo unknown)"; \
		sed -n 's/^[a-z].*/    "&",/p' requirements/runtime.in; \
		echo ']'; \
	} >$(SBOM)/pyproject.toml
	@SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct 2>/dev/null)" $(VENV)-sbom/bin/cyclonedx-py environment \
		--pyproject $(SBOM)/pyproject.toml --output-reproducible --validate --output-file $(SBOM).json $(SBOM)/bare/bin/python
	@echo '$(SBOM).json: what is deployed, as CycloneDX JSON.'

format: $(VENV)/.ready
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# --- set-up -------------------------------------------------------------------------------------------------------

setup: $(VENV)/.ready $(VENV)-sam/.ready $(VENV)-checkov/.ready

# The stamp is written last: a set-up that was interrupted is done again from the start.
$(VENV)/.ready: layers/dependencies/requirements.txt requirements/dev.txt requirements/data.txt
	@$(call make_venv,$(VENV),what runs and tests the club)
	@$(BIN)/python $(PIP_INSTALL) -r requirements/dev.txt
	@$(BIN)/python $(PIP_INSTALL) --only-binary :all: -r requirements/data.txt
	@touch $@ && echo 'Set up: $(VENV) is ready.'

$(VENV)-sam/.ready: requirements/sam.txt
	@$(call make_venv,$(VENV)-sam,the SAM CLI that checks the template)
	@$(VENV)-sam/bin/python $(PIP_INSTALL) -r requirements/sam.txt
	@touch $@ && echo 'Set up: $(VENV)-sam is ready.'

$(VENV)-checkov/.ready: requirements/checkov.txt
	@$(call make_venv,$(VENV)-checkov,the second linter of the template)
	@$(VENV)-checkov/bin/python $(PIP_INSTALL) -r requirements/checkov.txt
	@touch $@ && echo 'Set up: $(VENV)-checkov is ready.'

$(VENV)-emulator/.ready: requirements/emulator.txt
	@$(call make_venv,$(VENV)-emulator,a second emulator of AWS)
	@$(VENV)-emulator/bin/python $(PIP_INSTALL) -r requirements/emulator.txt
	@touch $@ && echo 'Set up: $(VENV)-emulator is ready.'

$(VENV)-sbom/.ready: requirements/sbom.txt
	@$(call make_venv,$(VENV)-sbom,what writes the bill of materials)
	@$(VENV)-sbom/bin/python $(PIP_INSTALL) -r requirements/sbom.txt
	@touch $@ && echo 'Set up: $(VENV)-sbom is ready.'

$(VENV)-runtime/.ready: requirements/runtime-test.txt $(VENV)/.ready
	@$(call make_venv,$(VENV)-runtime,Lambda's own bootstrap,$(shell $(BIN)/python -m tests.deployed.find_python '$(PYTHON)'))
	@$(VENV)-runtime/bin/python $(PIP_INSTALL) -r requirements/runtime-test.txt
	@touch $@ && echo 'Set up: $(VENV)-runtime is ready.'

$(VENV)-naive/.ready: requirements/naive.txt $(VENV)/.ready
	@$(call make_venv,$(VENV)-naive,the naive build of the benchmarks,$(shell $(BIN)/python -m tests.deployed.find_python '$(PYTHON)'))
	@$(VENV)-naive/bin/python $(PIP_INSTALL) -r requirements/naive.txt
	@touch $@ && echo 'Set up: $(VENV)-naive is ready.'

$(VENV)-lock/.ready: requirements/lock.txt
	@$(call make_venv,$(VENV)-lock,the resolver)
	@$(VENV)-lock/bin/python $(PIP_INSTALL) -r requirements/lock.txt
	@touch $@ && echo 'Set up: $(VENV)-lock is ready.'

# $(1): where, $(2): what for, $(3): with which Python, where it is another
WITH = $(or $(3),$(PYTHON))
define make_venv
	if ! command -v '$(WITH)' >/dev/null; then \
		echo 'There is no $(WITH) here. Python 3.11 or newer is needed; name it like this: make PYTHON=python3.13 $(MAKECMDGOALS)' >&2; exit 1; \
	fi; \
	if ! '$(WITH)' -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "Python 3.11 or newer is needed, and $(WITH) is $$('$(WITH)' -V 2>&1). Name a newer one like this: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; \
	fi; \
	echo "Set up: $(1), $(2), with $$('$(WITH)' -V 2>&1) (a minute or less, this once) ..."; \
	if ! '$(WITH)' -m venv --clear '$(1)'; then \
		echo '$(WITH) could not make a virtual environment; on Debian and Ubuntu its venv module is a package of its own: python3-venv.' >&2; exit 1; \
	fi
endef

# One resolution for every platform and for Python 3.11 and newer. --no-emit-index-url: the files name no registry.
COMPILE := UV_CUSTOM_COMPILE_COMMAND='make lock' $(VENV)-lock/bin/uv pip compile --quiet --generate-hashes --universal \
	--python-version 3.11 --no-emit-index-url --no-annotate $(if $(UPGRADE),--upgrade)

lock: $(VENV)-lock/.ready
	$(COMPILE) requirements/runtime.in -o layers/dependencies/requirements.txt
	$(COMPILE) requirements/dev.in -o requirements/dev.txt
	$(COMPILE) requirements/naive.in -o requirements/naive.txt
	$(COMPILE) requirements/sam.in -o requirements/sam.txt
	$(COMPILE) requirements/checkov.in -o requirements/checkov.txt
	$(COMPILE) requirements/emulator.in -o requirements/emulator.txt
	$(COMPILE) requirements/runtime-test.in -o requirements/runtime-test.txt
	$(COMPILE) requirements/sbom.in -o requirements/sbom.txt
	$(COMPILE) requirements/lock.in -o requirements/lock.txt
	$(COMPILE) --no-deps requirements/data.in -o requirements/data.txt

clean:
	rm -rf $(VENV) $(VENV)-sam $(VENV)-checkov $(VENV)-emulator $(VENV)-runtime $(VENV)-naive $(VENV)-lock $(VENV)-sbom build .aws-sam .hypothesis .mypy_cache .ruff_cache .pytest_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
