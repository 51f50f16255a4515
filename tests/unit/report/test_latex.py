"""LaTeX that a real engine compiles, in one and in two columns, and that fits."""

import re
import shutil
import subprocess

import pytest

from orchestrator.report.latex import latex
from orchestrator.report.table import build_table, pivot
from orchestrator.tables import layout
from tests.cell_values import full_tables, table5, value

ENGINE = ("pdflatex", "-halt-on-error", "-interaction=nonstopmode")


def compiled(folder, tables, options, packages):
    """Compile a document with these tables; return the engine's log."""
    if shutil.which(ENGINE[0]) is None:
        pytest.skip("no pdflatex on this machine (Debian: texlive-latex-recommended, texlive-science)")
    uses = "".join(f"\\usepackage{{{package}}}" for package in packages)
    words = "\n".join(
        f"See Table~\\ref{{{label}}}." for t in tables for label in re.findall(r"\\label{(.*?)}", t)
    )
    document = folder / "paper.tex"
    document.write_text(
        f"\\documentclass[{options}]{{article}}{uses}\\begin{{document}}\n{words}\n"
        + "\n\\clearpage\n".join(tables)
        + "\\end{document}\n"
    )
    done = subprocess.run([*ENGINE, document.name], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / "paper.pdf").stat().st_size > 1000
    return (folder / "paper.log").read_text(errors="replace")


def compared_tables():
    """Yield tables with all that a cell may hold: both protocols, comparisons, splits, odd labels."""
    yield build_table(table5(), protocol="both", study="s", layout=layout(5))
    yield build_table(table5("simulated"), protocol="final", study="s", layout=layout(5), against="0.01")
    splits = [
        value(row, f"smie_{{}}&%$#^~<{c}>|", s, 0.1 * i + 0.01 * s, f"x_{i}")
        for row in ("[a_b]", r"\c", "*") for c in "de" for i in range(3) for s in range(3)
    ]  # fmt: skip
    yield build_table(splits, protocol="final", study="a_b & 100 %")
    yield pivot(splits, "split", ["dataset", "seed"], protocol="final", study="[/s]")


@pytest.mark.parametrize("siunitx", [False, True])
@pytest.mark.parametrize("options", ["10pt", "10pt,twocolumn"])
def test_every_table_compiles_and_fits_a_paper(tmp_path, options, siunitx):
    tables = [latex(table, siunitx=siunitx) for table in (*full_tables(), *compared_tables())]
    assert len(tables) == 13
    packages = ["booktabs", "siunitx"] if siunitx else ["booktabs"]
    log = compiled(tmp_path, tables, options, packages)
    assert "Overfull" not in log, re.findall(r"Overfull.*\n.*", log)


def test_the_source_is_ascii_and_no_special_character_is_bare():
    count = 0
    for table in full_tables():
        source = latex(table)
        assert source.isascii(), sorted({c for c in source if not c.isascii()})
        bare = re.sub(r"\\[&%_#{}]|^%.*$|\\label{.*}", "", source, flags=re.MULTILINE)
        assert not set("_#") & set(bare)
        assert "\\toprule" in source
        assert f"\\label{{tab:table-{table.title[6]}}}" in source
        count += 1
    assert count == 9


def test_every_line_of_a_tabular_has_as_many_cells_as_it_declares():
    count = 0
    for table in full_tables():
        for columns, body in re.findall(
            r"begin{tabular}{@{}l(r*)@{}}(.*?)\\end{tabular}", latex(table), re.DOTALL
        ):
            below = body.split("\\midrule")[1].split("\\bottomrule")[0].strip().splitlines()
            assert all(line.count(" & ") == len(columns) for line in below)
            count += len(below)
    assert count >= 100


def test_no_column_and_no_number_is_lost_where_a_table_is_cut():
    table = next(t for t in full_tables() if t.title.startswith("Table 3"))
    source = latex(table)
    assert source.count("\\begin{tabular}") > 1
    heads = "".join(re.findall(r"\\toprule(.*?)\\midrule", source, re.DOTALL))
    for column in table.columns:
        dataset, _, rest = column.partition(" ")
        assert dataset in heads
        assert rest in heads
    assert source.count("50.00") == len(table.numbers)
    assert source.count("paper ") == sum(n.paper is not None for n in table.numbers.values())


def test_the_best_is_bold_the_second_underlined_and_data_sets_stand_above_their_columns():
    values = [
        value(row, f"NTU-60 {split}", s, final, split)
        for row, final in (("a", 0.5), ("b", 0.7), ("c", 0.6), ("d", 0.7))
        for split in ("55/5", "48/12")
        for s in range(2)
    ]
    values += [value("a", "other", s, 0.5) for s in range(2)]
    source = latex(build_table(values, protocol="final", study="s"))
    assert source.count(r"\textbf{70.00} $\pm$ 0.00") == 4  # equals are equally good
    assert source.count(r"\underline{60.00} $\pm$ 0.00") == 2
    assert source.count("\\multicolumn{2}{c}{NTU-60}") == 1
    assert "\\cmidrule(lr){2-3}" in source
    assert r" & 55/5 & 48/12 & other \\" in source
    assert r"\textbf{50.00}" not in source  # the only one of its column
    aligned = latex(build_table(values, protocol="final", study="s"), siunitx=True)
    assert aligned.count(r"\bfseries 70.00 & $\pm$ 0.00") == 4


def test_the_caption_is_short_and_what_all_trials_share_is_a_comment():
    table = build_table(table5("simulated"), protocol="final", study="s", layout=layout(5))
    source = latex(table)
    caption = re.search(r"\\caption{(.*)}", source)[1]
    assert caption.startswith("AA activation ablation, SynSE setting (simulated). SIMULATED data")
    assert "all trials" not in caption
    assert re.search(r"^% all trials: .*dvta", source, re.MULTILINE)
    note = source[source.index("\\begin{minipage}") :]
    assert "protocol final" in note
    assert "n=3" in note
    assert "(n=" not in source
    lacking = build_table([*table5()[:-1]], protocol="final", study="s", layout=layout(5))
    assert "(n=2)" in latex(lacking)
