"""Specs that are refused, each with what its message says."""

from __future__ import annotations

import os
import resource
import signal
import time
import traceback
from pathlib import Path

from orchestrator.errors import SpecError
from orchestrator.spec.load import load_spec

SECONDS, MEMORY = 2, 300 * 2**20
HEAD = "study: x\ndefaults: {dataset: ntu60, split: 55/5}\n"
#: one mistake each
SINGLE = [
    ("study: s\nprofile: fast\n", "profile (line 2): 'fast' is unknown"),
    ("study: s\ntables: [77]\n", "table 77 is unknown"),
    ("study: s\ndefaults: {loss: klt}\n", "did you mean 'kld'"),
    ("study: a b\n", "study (line 1): 'a b' is not allowed here: a name of letters, digits, _, . and -"),
    (
        "study: s\nseeds: three\n",
        "seeds (line 2): 'three' is not allowed here: a number of seeds, or a list of them",
    ),
    (
        "study: s\nsource: reall\n",
        "source (line 2): 'reall' is not allowed here: input should be 'auto', 'real' or 'simulated' (did you mean 'real'?)",
    ),
    ("study: s\nextends: absent.yaml\n", "spec.yaml: extends (line 2): "),
    (
        "study: s\ndefaults: {aa_activation: leaky}\n",
        "one of leaky_sigmoid, sigmoid, none (did you mean 'leaky_sigmoid'?)",
    ),
    ("study: s\ndefaults: {sde: 1}\n", "1 is not allowed here: true or false"),
    (HEAD + 'grid: {gamma: [0.1], "gamma, tau": [[0.3, 0.5]]}\n', "gamma stands in two axes"),
    (HEAD + 'grid: {"gamma, gamma": [[0.3, 0.5]]}\n', "gamma stands in two axes"),
    (
        "study: s\ndefaults: {dataset: ntu6, split: 55/5}\n",
        "defaults.dataset (line 2): unknown dataset 'ntu6'",
    ),
    (HEAD + "overrides: [{when: {dataset: ntu6}, set: {}}]\n", "overrides[0].when.dataset (line 3)"),
    (HEAD + "overrides: [{when: {method: smi}, set: {}}]\n", "overrides[0].when.method (line 3)"),
    (
        HEAD + "grid: {lr: [0.1]}\nsearch: {trials: 3}\n",
        "search.space (line 4): {'trials': 3} is not allowed here: field required",
    ),
    (HEAD + "grid: {gamma: [0.1]}\ninclude: [{gamma: -1.0}]\n", "gamma: -1.0 is impossible"),
    (HEAD + "grid: {epochs: [010]}\n", "YAML reads 010 as a number to base 8; write 10, or quote it"),
    ("study: s\nmax_trials: true\n", "max_trials (line 2): True is not allowed here"),
    ("study: s\nlease_seconds: .inf\n", "lease_seconds (line 2): inf is not allowed here"),
    (
        "study: s\nresources: {gpus_per_trial: much}\n",
        "resources.gpus_per_trial (line 2): 'much' is not allowed here: input should be a valid number, "
        "unable to parse string as a number, or input should be 'auto'",
    ),
    (
        HEAD + "grid: {gamma: [0.1]}\nsearch: {space: {gamma: {type: float, low: 0.1, high: 1}}}\n",
        "search.space.gamma (line 4): the grid varies gamma, too",
    ),
    (
        HEAD + "grid: {lr: [0.1]}\nsearch: {space: {data_seed: {type: int, low: 0, high: 1.0e+30}}}\n",
        "allowed: whole numbers up to 9007199254740992",
    ),
    (
        HEAD
        + "grid: {lr: [0.1]}\nsearch: {sampler: grid, space: {gamma: {type: float, low: 0, high: 1, step: 0.0001}, "
        "tau: {type: float, low: 0.1, high: 1, step: 0.0001}}}\n",
        "search.space (line 4): a grid of 90,0",
    ),
    ("study: s\ndefaults: {weight_decay: .nan}\n", "nan is impossible; allowed: a finite number"),
    ("study: s\ndefaults: {tau: .inf}\n", "inf is impossible; allowed: a finite number"),
    ("study: s\ndefaults: {warmup_epochs: 200}\n", "warmup_epochs: 200 is impossible"),
    ('study: s\ngrid:\n  "dataset, split": [[ntu60]]\n', "a list of 2 values"),
    ("- 1\n", "a spec is a mapping"),
    ("study: [\n", "not YAML"),
    ("seeds: 3\n", "field required"),
    ("study: !env X\n", "study (line 1): YAML reads 'X' as !env, which is not allowed"),
    ("study: s\ndescription: 2024-13-45\n", "YAML reads '2024-13-45' as !!timestamp"),
    (
        "study: s\ngrid:\n  [dataset, split]: [[ntu60, 55/5]]\n",
        "line 3: a key must be a text; names that vary",
    ),
    ("study: s\nprofile: [quick]\n", "profile (line 2): ['quick'] is not allowed here"),
    ("study: s\ntables: [[1, 2]]\n", "tables[0] (line 2): [1, 2] is not allowed here"),
    (
        "study: s\noverrides: [{when: {profile: [a]}, set: {}}]\n",
        "overrides[0].when.profile (line 2): ['a']",
    ),
    (
        "study: s\noverrides: [{wen: {}, set: {}}]\n",
        "unknown key (did you mean 'when'?); allowed: when, set",
    ),
    ("study: s\nmethods: ['os.path:join']\n", "method 'os.path:join' is no dvta.methods.base.Method"),
    (
        "study: s\ntext: clip\n",
        "text (line 2): unknown key; text as an axis stands under defaults or grid",
    ),
    ("study: s\nforced: {lr: 1}\n", "forced (line 2): unknown key"),
    ("study: s\nseeds: 0\n", "seeds (line 2): [] is not allowed here: list should have at least 1 item"),
    ("study: s\ngrid: {gamma: []}\n", "grid.gamma (line 2): is empty"),
    *(
        (
            f"study: s\nresources: {{stack: {value}}}\n",
            f"resources.stack (line 2): {shown} is not allowed here: input should be auto, off or a whole number",
        )
        for value, shown in (("0", "0"), ("on", "True"), ("some", "'some'"), ("[2]", "[2]"), ("1.5", "1.5"))
    ),
]
#: what stands below the study's name, of studies without a mistake that cannot run
CANNOT_RUN = [
    ("grid: {gamma: [0.1]}\n", ["1 mistake", "grid gamma=0.1: no dataset; name one under"]),
    (
        "defaults: {dataset: ntu60, split: 55/5}\ngrid: {tau: [-1.0, 0.1], epochs: [0, 1]}\n",
        [
            "2 mistakes",
            "grid.tau[0] (line 3): tau: -1.0 is impossible",
            "grid.epochs[0] (line 3): epochs: 0 is",
        ],
    ),
    (
        f"protocol: gzsl\nsplits: {{most: {list(range(33))}}}\ndefaults: {{dataset: cmu, split: most}}\n"
        "grid: {gamma: [0.1]}\n",
        ["nothing to run: cmu most: has 1 seen class, of which none can be held out; protocol gzsl"],
    ),
    (
        "defaults: {dataset: ntu60, split: 55/5, method: dvtaa}\n"
        "grid: {gamma: [0.1, -3.0, -4.0], lr: [-1.0], method: [smie, devis, dvta]}\n",
        [
            "5 mistakes",
            "defaults.method (line 2): unknown method 'dvtaa'",
            "grid.gamma[1] (line 3): gamma: -3.0",
            "grid.gamma[2] (line 3): gamma: -4.0",
            "grid.lr[0] (line 3): lr: -1.0",
            "grid.method[1] (line 3): unknown method 'devis'",
        ],
    ),
    (
        "tables: [1]\nwhere: {method: [dvtaa]}\n",
        ["'dvtaa' is in no cell of the tables (did you mean 'dvta'?)"],
    ),
    (
        "tables: [1]\nwhere: {dataset: [pku]}\n",
        ["where.dataset: 'pku' is in no cell", "allowed: ntu60, ntu120"],
    ),
    ("description: nothing\n", ["nothing to run: it names no table and no grid"]),
    (
        "defaults: {dataset: ntu60, split: 55/5, text: sbrt}\ngrid: {gamma: [0.1]}\n",
        ["nothing to run", "sbrt_labels.npy: no such file (did you mean 'sbert'?)"],
    ),
    (
        "defaults: {dataset: ntu60, split: 55/5, visual: st_gnc}\ngrid: {gamma: [0.1]}\n",
        ["nothing to run", "st_gnc/55-5: no such features (did you mean 'st_gcn'?)"],
    ),
]
#: made to hang, to eat memory or to trace back
MADE = {
    "aliases of mappings": (
        "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}\n" for i in range(1, 12)),
        "aliases followed",
    ),
    "aliases by merging": (HEAD + "grid: {gamma: [0.1]}\nprofiles: &p {<<: *p}\n", "contains itself"),
    "a list that contains itself": (HEAD + "include: &a [*a]\n", "contains itself"),
    "seeds in a profile": (HEAD + "profile: p\nprofiles: {p: {seeds: 100000000}}\ngrid: {gamma: [0.1]}\n", "100,000,000 trials"),
    "negative seed": (HEAD + "seeds: [-1]\n", "seeds[0] (line 3): -1 is not allowed here"),
    "seed of 2^63": (HEAD + "seeds: [9223372036854775808]\n", "seeds[0] (line 3)"),
    "seed of 2^31": (HEAD + "seeds: [2147483648]\ngrid: {gamma: [0.1]}\n", "less than or equal to 2147483647"),
    "search of 10^12": (
        HEAD + "grid: {gamma: [0.1]}\nsearch: {trials: 1000000000000, space: {tau: {type: float, low: 0.1, high: 1.0}}}\n",
        "search.trials (line 4): 1 cells with 1 seeds and 1,000,000,000,000 candidates",
    ),
    "search seed": (
        HEAD + "search: {seed: 9223372036854775808, space: {tau: {type: float, low: 0.1, high: 1.0}}}\n",
        "search.seed",
    ),
    "search of fine steps": (
        HEAD + "grid: {gamma: [0.1]}\nsearch: {sampler: grid, space: {tau: {type: float, low: 0.1, high: 1.0, step: 1.0e-12}}}\n",
        "search.space.tau.step",
    ),
    "bool key": (HEAD + "grid: {on: [1]}\n", "quote it: 'on'"),
    "null key": (HEAD + "grid: {null: [1]}\n", "quote it: 'null'"),
    "date key": (HEAD + "grid: {2024-01-01: [1]}\n", "quote it: '2024-01-01'"),
    "binary": (HEAD + "grid: {text: [!!binary aGVsbG8=]}\n", "as !!binary, which is not allowed"),
    "a set inside": (HEAD + "grid: {text: !!set {a, b}}\n", "!!set is not allowed"),
    "a bool that is none": (HEAD + "grid: {sde: [!!bool maybe]}\n", "'maybe' is no !!bool"),
    "an object": (HEAD + "grid: {sde: [!!python/object/apply:os.system ['true']]}\n", "!!python/object/apply:os.system is not allowed"),
    "a whole number too large": (HEAD + "grid: {epochs: [1" + "0" * 400 + "]}\n", "is not allowed here: at most 9223372036854775807"),
    "digits beyond Python's limit": (HEAD + "grid: {epochs: [" + "9" * 5000 + "]}\n", "a text of 5,000 characters"),
    "long key": (HEAD + "grid: {" + "g" * 600 + ": [1]}\n", "a key of more than 500 characters"),
    "control characters": (HEAD + 'grid: {visual: ["a\\e[31mb"]}\n', "control characters"),
    "many mistakes": (HEAD + "grid: {" + ", ".join(f"name{i}: [1]" for i in range(5000)) + "}\n", "100 mistakes, perhaps more"),
    "a large file": ("# " + "x" * 300_000 + "\n" + HEAD, "are no spec; allowed: at most 200,000"),
    "a NUL": (HEAD + "description: a\0b\n", "not YAML"),
    "three mistakes of three kinds": (
        "study: x\ndefaults: {dataset: ntu60, split: 55/6, preset: oficial}\ngrid: {gamma: [-1.0], epochs: [0], taux: [1]}\n",
        "5 mistakes",
    ),
}  # fmt: skip


def load_within_bounds(path: Path) -> tuple[int, str]:
    """Load a spec with little time and memory; return an exit status and the message."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    until = int(time.process_time()) + 1 + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (until, until))
    signal.alarm(30)  # for one that waits
    try:
        load_spec(path)
    except SpecError as error:
        return 2, str(error)
    except BaseException:
        return 1, traceback.format_exc()
    return 0, "accepted"
