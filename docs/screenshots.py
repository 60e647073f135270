"""Take README's pictures: an offline arena in a temporary folder, battles played in Chromium, images in docs/images.

Run from the project's folder: `python -m docs.screenshots`. It needs the test dependencies and a Chromium.
"""

import argparse
import asyncio
import contextlib
import io
import random
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from arena.config import load_settings, prepare_process

prepare_process()

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.async_api import Browser, Page, async_playwright, expect  # noqa: E402

from app import build_app  # noqa: E402
from arena.battle import BattleView  # noqa: E402
from arena.challenges import load_challenges  # noqa: E402
from arena.keys import load_admin_password  # noqa: E402
from arena.parts import Parts  # noqa: E402
from arena.tables import Winner  # noqa: E402
from arena.voters import VoterIdentity  # noqa: E402
from arena.web.server import address_of, bind, make_server  # noqa: E402

IMAGES = Path(__file__).parent / "images"
CHALLENGE = (
    "I want to start a choir in our street where nobody has to audition. Nine people said maybe. Where do I begin?"
)
VOTERS, VOTES_EACH, AT_ONCE = 12, 10, 24
DESKTOP, TALL, PHONE = (1200, 800), (1200, 1240), (390, 844)
_PATIENCE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Studio:
    """A running arena and a browser."""

    browser: Browser
    address: str
    parts: Parts

    @contextlib.asynccontextmanager
    async def page(self, size: tuple[int, int] = DESKTOP, *, scheme: str = "light") -> AsyncIterator[Page]:
        """A visitor's page, on a screen of `size`."""
        context = await self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
            device_scale_factor=1.5,
            is_mobile=size == PHONE,
            reduced_motion="reduce",
        )
        try:
            yield await context.new_page()
        finally:
            await context.close()


async def start_battle(studio: Studio, page: Page) -> None:
    """Send the challenge and wait until both answers have begun."""
    await page.goto(studio.address)
    box = page.get_by_role("textbox", name="Your challenge")
    await box.fill(CHALLENGE)
    await expect(box).to_have_value(CHALLENGE)
    await page.get_by_role("button", name="Send").click()
    for side in ("Model A", "Model B"):
        await expect(page.get_by_role("region", name=side).locator("p").nth(1)).to_be_visible(timeout=_PATIENCE_MS)


async def finish_battle(page: Page) -> None:
    """Wait until the vote is open."""
    await expect(page.get_by_role("button", name="A is better")).to_be_enabled(timeout=_PATIENCE_MS)


async def vote(page: Page) -> None:
    """Vote, and wait for the names."""
    await page.get_by_role("button", name="A is better").click()
    await expect(page.get_by_role("button", name="Continue from this answer").first).to_be_visible()
    await page.mouse.move(0, 0)


async def take(page: Page, name: str) -> None:
    """Write docs/images/<name>.png."""
    image = Image.open(io.BytesIO(await page.screenshot(animations="disabled"))).convert("RGB")
    IMAGES.mkdir(exist_ok=True)
    in_few_colours(image).save(IMAGES / f"{name}.png", optimize=True)


def in_few_colours(image: Image.Image) -> Image.Image:
    """`image` in 256 colours, which weighs a third: the page's flat colours exactly, the edges of letters nearly."""
    pixels = np.asarray(image, dtype=np.int64).reshape(-1, 3)
    codes, of_pixel, counts = np.unique(pixels @ (65536, 256, 1), return_inverse=True, return_counts=True)
    colours = np.stack((codes >> 16, codes >> 8 & 255, codes & 255), axis=1)
    spread = image.quantize(224, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = np.concatenate((colours[np.argsort(-counts)[:32]], np.reshape(spread, (-1, 3))))
    nearest = ((colours[:, None] - palette) ** 2).sum(axis=2).argmin(axis=1)
    few = Image.fromarray(nearest[of_pixel].reshape(image.height, image.width).astype(np.uint8), "P")
    few.putpalette(palette.ravel().tolist())
    return few


async def fill_leaderboard(parts: Parts) -> None:
    """Play battles without a browser, judged by readers who mostly prefer answers that look at current reality."""
    chance = random.Random(7)  # noqa: S311 - so that the pictures are alike each time
    challenges = load_challenges(parts.settings.data_dir)
    prompts = [chance.choice(challenges).text for _ in range(VOTERS * VOTES_EACH)]
    room = asyncio.Semaphore(AT_ONCE)

    async def judge(number: int, prompt: str) -> None:
        voter = VoterIdentity(f"reader-{number % VOTERS}")
        async with room:
            view = await _last(parts, prompt, voter)
            await parts.arena.vote(view.battle_id, voter, _verdict(view, chance))

    await asyncio.gather(*(judge(number, prompt) for number, prompt in enumerate(prompts)))


async def _last(parts: Parts, prompt: str, voter: VoterIdentity) -> BattleView:
    return [view async for view in parts.arena.fight(prompt, voter)][-1]


def _verdict(view: BattleView, chance: random.Random) -> Winner:
    if chance.random() < 0.15:
        return chance.choice((Winner.TIE, Winner.BOTH_BAD))
    a, b = (("current reality" in text.lower()) + chance.gauss(0, 0.8) for text in view.turns[-1].answers)
    return Winner.MODEL_A if a > b else Winner.MODEL_B


async def take_battle(studio: Studio) -> None:
    """A battle on a desktop: streaming, votable, revealed."""
    async with studio.page() as page:
        await start_battle(studio, page)
        await take(page, "battle-streaming")
        await finish_battle(page)
        await page.set_viewport_size({"width": TALL[0], "height": TALL[1]})
        await take(page, "battle-votable")
        await vote(page)
        await page.get_by_role("button", name="New battle").scroll_into_view_if_needed()
        await take(page, "battle-revealed")


async def take_phone(studio: Studio) -> None:
    """A battle and the leaderboard on a phone."""
    async with studio.page(PHONE) as page:
        await start_battle(studio, page)
        await finish_battle(page)
        await take(page, "phone-battle")
        await page.goto(f"{studio.address}/leaderboard")
        await expect(page.get_by_role("table")).to_be_visible(timeout=_PATIENCE_MS)
        await take(page, "phone-leaderboard")


async def take_leaderboard(studio: Studio, scheme: str, name: str) -> None:
    """The leaderboard on a desktop."""
    async with studio.page(scheme=scheme) as page:
        await page.goto(f"{studio.address}/leaderboard")
        await expect(page.get_by_role("table")).to_be_visible(timeout=_PATIENCE_MS)
        await take(page, name)


async def take_dark_battle(studio: Studio) -> None:
    """A votable battle in the dark."""
    async with studio.page(TALL, scheme="dark") as page:
        await start_battle(studio, page)
        await finish_battle(page)
        await take(page, "dark-battle")


async def take_operations(studio: Studio) -> None:
    """The operator's page."""
    async with studio.page() as page:
        await page.goto(f"{studio.address}/login?next=/operations")
        await page.get_by_label("Password").fill(load_admin_password(studio.parts.settings))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("table", name="Models")).to_be_visible()
        await take(page, "operations")


async def take_all(chromium: str | None) -> None:
    """Start everything, take every picture, stop everything."""
    with tempfile.TemporaryDirectory() as folder, bind("127.0.0.1", 0) as listener:
        app = build_app(load_settings(demo=True, data_dir=Path(folder), models=Path("models.yaml"), max_battles=50))
        parts: Parts = app.state.parts
        server = make_server(app, parts.drain)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with async_playwright() as playwright:
            options = ("--no-sandbox", "--disable-background-networking", "--disable-sync", "--no-first-run")
            browser = await playwright.chromium.launch(executable_path=chromium, args=options)
            studio = Studio(browser, address_of(listener), parts)
            await take_battle(studio)
            await fill_leaderboard(parts)
            await take_phone(studio)
            await take_leaderboard(studio, "light", "leaderboard")
            await take_leaderboard(studio, "dark", "dark-leaderboard")
            await take_dark_battle(studio)
            await take_operations(studio)
            await browser.close()
        server.should_exit = True
        await serving


def main() -> None:
    """Find a Chromium and take the pictures."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    parser = argparse.ArgumentParser(description="Take README's pictures into docs/images.")
    parser.add_argument("--chromium", default=found, help="the browser's program (default: the one on the path)")
    asyncio.run(take_all(parser.parse_args().chromium))


if __name__ == "__main__":
    main()
