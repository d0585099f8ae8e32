"""One HTML page about the lake as of a batch: what is in it, whether to trust it, what it says.

`facts` asks the lake, `charts` draws, `page` puts both into one file that needs no network.
"""

from runtime.show.report.page import report_page

__all__ = ["report_page"]
