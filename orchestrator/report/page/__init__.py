"""HTML: the page of a study with everything in it, and a plain page of tables."""

from orchestrator.report.page.plain import page
from orchestrator.report.page.study import study_page

__all__ = ["page", "study_page"]
