"""One Chromium for the browser tests of a process, and contexts that keep its copy of the arena's scripts.

Starting it takes two seconds of a core, and reading a page's scripts for the first time one more. It runs while a
module wants it, and on to the next such module: while it runs, nothing else can run an event loop in the same thread.
"""

from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

PROGRAM = "/usr/bin/chromium"
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


class Chromium:
    """The browser, started when it is first wanted."""

    def __init__(self) -> None:
        self.wanted = False
        """Whether the tests of a module may be in the midst of using it."""
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._idle: dict[str, list[BrowserContext]] = {}

    def start(self) -> Browser:
        """The browser, running."""
        self.wanted = True
        if self._browser is None:
            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox", *_QUIET])
        return self._browser

    def enter(self, origin: str, options: Mapping[str, Any]) -> Page:
        """An empty page of somebody who was never at `origin`, in a context with these options."""
        idle = self._idle.setdefault(repr(sorted(options.items())), [])
        context = idle.pop() if idle else self.start().new_context(**options)
        page = context.new_page()
        store = context.new_cdp_session(page)
        store.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage"})
        store.detach()
        return page

    def leave(self, page: Page, options: Mapping[str, Any]) -> None:
        """Close whatever is open beside `page`, too, and forget who it was."""
        context = page.context
        for one in context.pages:
            one.close()
        context.clear_cookies()
        self._idle[repr(sorted(options.items()))].append(context)

    def rest(self) -> None:
        """Close every context: the module that wanted them is done."""
        self.wanted = False
        self._idle.clear()
        for context in self._browser.contexts if self._browser else ():
            context.close()

    def stop(self) -> None:
        """End it, if it runs."""
        if self._browser is not None and self._playwright is not None:
            self._browser.close()
            self._playwright.stop()
        self._browser = self._playwright = None


CHROMIUM = Chromium()
