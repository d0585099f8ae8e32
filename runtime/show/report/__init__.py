"""One HTML page about the lake as of a batch: tables, quality, changes and listening charts.

`facts` reads the lake, `charts` draws, `page` makes one HTML file that needs no network.
"""

from runtime.show.report.page import report_page

__all__ = ["report_page"]
