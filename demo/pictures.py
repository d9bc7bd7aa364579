"""Looks at pages in Debian's Chromium, as a person would, and keeps pictures of them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

WIDTH, HEIGHT = 1280, 860


def chromium() -> str | None:
    """Return where the browser is, None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(frozen=True, slots=True)
class Looker:
    """A browser that is logged in, and what went wrong on the pages it saw."""

    page: Page
    console: str
    trouble: list[str]

    def login(self, username: str, password: str) -> None:
        self.page.goto(f"{self.console}/login")
        self.page.fill("input[name=username]", username)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_load_state("networkidle")

    def look(self, path: str, picture: Path, *, full: bool = True) -> str:
        """Return the text of the page at ``path``, and keep a picture of it."""
        reply = self.page.goto(f"{self.console}{path}")
        if reply is None or not reply.ok:
            self.trouble.append(f"{path}: {reply.status if reply else 'no answer'}")
        self.page.wait_for_load_state("load")
        self.page.wait_for_timeout(700)  # charts draw after their data came
        picture.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=picture, full_page=full)
        return self.page.inner_text("body")


@contextmanager
def looker(console: str) -> Iterator[Looker]:
    """Lend a browser on ``console``; errors of scripts and of loading are kept as trouble."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.set_default_timeout(15_000)
            trouble: list[str] = []
            page.on("pageerror", lambda error: trouble.append(f"{page.url}: {error}"))
            page.on(
                "console",
                lambda said: (
                    trouble.append(f"{page.url}: {said.text}") if said.type == "error" else None
                ),
            )
            yield Looker(page, console, trouble)
        finally:
            browser.close()
