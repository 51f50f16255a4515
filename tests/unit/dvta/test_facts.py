"""What is said of methods and encoders without their networks is what their classes have."""

import inspect

import pytest

from dvta import datasets, losses
from dvta.encoders import ENCODERS
from dvta.errors import UnknownNameError
from dvta.facts import LOSSES, EncoderFacts, MethodFacts
from dvta.methods import METHODS, build
from orchestrator.spec.configuration import BUILD


def announced(registry):
    return {name: registry.facts(name) for name in registry.names() if registry.facts(name) is not None}


@pytest.mark.parametrize(
    ("registry", "base", "count"), [(METHODS, MethodFacts, 14), (ENCODERS, EncoderFacts, 4)]
)
def test_every_class_begins_with_its_facts_and_says_nothing_else(registry, base, count):
    found = announced(registry)
    assert len(found) == count
    names = [n for n in vars(base) if not n.startswith("__")]
    assert len(names) >= 3
    for name, facts in found.items():
        network = registry.get(name)
        assert issubclass(network, facts), name
        assert network is not facts, name
        for attribute in names:
            ours, theirs = (
                inspect.getattr_static(network, attribute),
                inspect.getattr_static(facts, attribute),
            )
            # a variant of CADA-VAE cannot be stacked, which only its class can know
            assert ours is theirs or (name, attribute) == ("cada_vae", "stackable"), (name, attribute)


@pytest.mark.parametrize(
    ("get", "path", "message"),
    [
        (ENCODERS.get, "dvta.encoders.base:SkeletonEncoder", "is no dvta.encoders.base.SkeletonEncoder"),
        (ENCODERS.get, "os.path:join", "is no dvta.encoders.base.SkeletonEncoder"),
        (METHODS.get, "dvta.methods.base:Method", "is no dvta.methods.base.Method"),
        (datasets.DATASETS.get, "dvta.datasets.dataset:Dataset", "is no dvta.datasets.dataset.Dataset"),
    ],
)
def test_a_dotted_path_gives_a_subclass_or_an_instance_but_no_base(get, path, message):
    with pytest.raises(UnknownNameError, match=f"'{path}' {message}"):
        get(path)


def test_the_announced_losses_are_those_there_are():
    assert LOSSES.names() == ["infonce", "kld", "softmax_ce"]
    assert [LOSSES.get(n) for n in LOSSES.names()] == [losses.info_nce, losses.kld, losses.softmax_ce]


def test_the_arguments_of_build_are_taken_names():
    assert tuple(n for n in inspect.signature(build).parameters if n != "options") == BUILD
