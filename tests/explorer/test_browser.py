"""The latent explorer in a real browser, from disk and from a web server."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from delphi_assets.explorer import write_explorer
from tests.parts import explained_lake
from tests.parts.chromium import Watched, open_chromium, served, watched
from tests.parts.explorer_lake import (
    DEAD,
    EXPLAINED,
    EXPLANATIONS,
    FAILED,
    FAR,
    ODD_HOOKPOINT,
    PLANTED,
    PREDICTIONS,
    SCORED,
    write_lake,
)
from tests.parts.hand_built import publish

pytestmark = pytest.mark.slow

PLACE = "#/hand/layers.0"
NUMBERS = "#latents tbody th a"
CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = (top, below) => {
    const opacity = top[3] ?? 1;
    return [0, 1, 2].map((at) => top[at] * opacity + below[at] * (1 - opacity));
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = parse(getComputedStyle(document.documentElement).backgroundColor);
  const ratio = (ink, below) => {
    const [a, b] = [light(ink), light(below)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const ratios = [];
  const texts = "mark, .quiet, .verdict > span:first-child, th, a, button, small";
  for (const text of document.querySelectorAll(texts)) {
    const style = getComputedStyle(text);
    if (text.closest(".off")) continue;
    const below = over(parse(style.backgroundColor), page);
    ratios.push([ratio(parse(style.color), below), text.className, text.textContent]);
  }
  return ratios.sort((a, b) => a[0] - b[0])[0];
}"""

UNNAMED = """() =>
[...document.querySelectorAll("button, a, input, select, summary, svg[role=img]")]
  .filter((one) => {
    const named = one.textContent.trim() || one.getAttribute("aria-label");
    return !(named || one.labels?.length);
  })
  .map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with open_chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the lake by hand."""
    folder = tmp_path_factory.mktemp("explorer")
    write_explorer(write_lake(folder / "lake"), folder / "site")
    return folder / "site"


@pytest.fixture(params=["disk", "server"])
def base(request: pytest.FixtureRequest, site: Path) -> Iterator[str]:
    """Address of the site's folder."""
    if request.param == "disk":
        yield site.as_uri() + "/"
    else:
        with served(site) as address:
            yield address


def drawn(page: Page, act: Any) -> None:
    """Do something that draws the page anew, and wait for it."""
    page.evaluate("document.documentElement.dataset.drawn = 'not yet'")
    act()
    page.wait_for_function(
        "() => (document.documentElement.dataset.drawn ?? 'not yet') !== 'not yet'", timeout=10_000
    )


def go(page: Page, base: str, address: str = PLACE) -> None:
    """Open an address of the site from a blank page."""
    page.goto("about:blank")
    drawn(page, lambda: page.goto(f"{base}index.html{address}"))


def numbers(page: Page) -> list[int]:
    """Latents of the list, as they stand."""
    return [int(text) for text in page.locator(NUMBERS).all_inner_texts()]


def calm(seen: Watched, base: str) -> None:
    """Nothing was complained of, and nothing was asked of anybody else."""
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith((base, "about:"))] == []


def test_looking_around(browser: Browser, base: str) -> None:
    """Overview, list, search, order, filter, a latent, back: no complaint, no request outside."""
    with watched(browser) as seen:
        page = seen.page
        go(page, base, "")
        assert page.locator("h1").inner_text().startswith("layers.0")
        assert "Scored 2" in page.locator(".overview .legend").first.inner_text().replace("\n", " ")
        drawn(page, page.get_by_role("link", name="Browse 7 latents").click)
        assert numbers(page) == [0, 1, 2, 3, 4, 5, FAR]
        drawn(page, lambda: page.get_by_role("searchbox").fill("AWAY far"))
        assert numbers(page) == [FAR]
        drawn(page, lambda: page.get_by_role("searchbox").fill("token:said"))
        assert numbers(page) == [EXPLAINED]
        drawn(page, lambda: page.get_by_role("searchbox").fill("45"))
        assert numbers(page) == [FAR]
        drawn(page, lambda: page.get_by_role("searchbox").fill(""))
        drawn(page, page.get_by_role("button", name="Density").click)
        assert numbers(page) == [1, 0, FAR, 5, 4, 2, 3]
        drawn(page, page.get_by_role("button", name="detection").click)
        assert numbers(page)[:2] == [SCORED, FAR]
        drawn(page, page.get_by_role("button", name=re.compile("^Scored")).click)
        assert numbers(page) == [SCORED, FAR]
        page.locator("#filters summary").click()
        low = page.get_by_label("detection, at least")
        low.fill("0.8")
        drawn(page, lambda: low.press("Enter"))
        assert numbers(page) == [SCORED]
        assert page.locator("#found").inner_text() == "1 of 7 latents"
        drawn(page, page.locator(NUMBERS).first.click)
        assert page.locator("h1").inner_text() == "Latent 0"
        drawn(page, page.get_by_role("link", name="List").click)
        assert numbers(page) == [SCORED]
        calm(seen, base)


def test_labels_sort_filter_and_are_found(browser: Browser, base: str) -> None:
    """Numbers have an order and a filter, texts are searched; the page of a latent has all."""
    with watched(browser) as seen:
        page = seen.page
        go(page, base, f"{PLACE}/latents")
        drawn(page, page.get_by_role("button", name="alice.rating").click)
        assert numbers(page)[:2] == [FAR, SCORED]
        assert page.locator(f"#row-{FAR} td").last.inner_text() == "123457"
        page.locator("#filters summary").click()
        most = page.get_by_label("alice.rating, at most")
        most.fill("5")
        drawn(page, lambda: most.press("Enter"))
        assert numbers(page) == [SCORED]
        drawn(page, page.reload)
        assert numbers(page) == [SCORED]
        go(page, base, f"{PLACE}/latents?q=quiet")
        assert numbers(page) == [DEAD]
        go(page, base, f"{PLACE}/latent/{SCORED}")
        shown = page.locator("section[aria-labelledby=labels] dd").all_text_contents()
        assert shown == [f"seen {PLANTED}\nsecond line", "4.50"]
        calm(seen, base)


def test_data_of_an_earlier_version_have_no_labels(
    browser: Browser, site: Path, tmp_path: Path
) -> None:
    """The page reads them all the same."""
    old = tmp_path / "site"
    shutil.copytree(site, old)
    for path in old.glob("data/*/*/*/**/*.js"):
        text = path.read_text(encoding="utf-8")
        key, _, value = text.removeprefix("explorerData(").removesuffix(");\n").partition(",")
        held = json.loads(value)
        for one in [held, *held.get("latents", [])]:
            one.pop("labels", None) if isinstance(one, dict) else None
        path.write_text(f"explorerData({key}, {json.dumps(held)});\n", encoding="utf-8")
    with watched(browser) as seen:
        for address in (PLACE, f"{PLACE}/latents?q=far", f"{PLACE}/latent/{SCORED}"):
            go(seen.page, old.as_uri() + "/", address)
        calm(seen, old.as_uri() + "/")


def test_an_address_says_it_all(browser: Browser, base: str) -> None:
    """Whoever opens a shared address sees the same, and so does who reloads."""
    with watched(browser) as seen:
        page = seen.page
        go(page, base, f"{PLACE}/latents")
        drawn(page, page.get_by_role("button", name="Failed").click)
        drawn(page, page.get_by_role("button", name=re.compile("^Scored")).click)
        drawn(page, page.get_by_role("button", name="Max").click)
        drawn(page, lambda: page.get_by_label("Explanations").select_option("1"))
        wanted, address = numbers(page), page.url
        assert wanted == [SCORED, FAR, FAILED]
        assert page.locator(".failure").inner_text().startswith("refused")
        drawn(page, page.reload)
        assert numbers(page) == wanted
        drawn(page, page.locator(NUMBERS).first.click)
        assert "Python" in page.locator(".explanation .text").first.inner_text()
        assert page.locator("#after").get_attribute("aria-label") == f"Next latent, {FAR}"
        drawn(page, page.go_back)
        assert page.url == address
    with watched(browser) as other:
        go(other.page, base, "#" + address.split("#")[1])
        assert numbers(other.page) == wanted
        calm(other, base)


def test_keys(browser: Browser, site: Path) -> None:
    """Search, step, open, step on, go back, without a mouse."""
    with watched(browser) as seen:
        page = seen.page
        focused = "document.activeElement.textContent"
        go(page, site.as_uri() + "/", f"{PLACE}/latents?sort=-density")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "search"
        drawn(page, lambda: page.keyboard.type("/jk"))
        assert numbers(page) == []
        drawn(page, lambda: page.get_by_role("searchbox").fill(""))
        page.keyboard.press("ArrowDown")
        assert page.evaluate(focused) == "1"
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        assert page.evaluate(focused) == "0"
        drawn(page, lambda: page.keyboard.press("Enter"))
        assert page.locator("h1").inner_text() == "Latent 0"
        drawn(page, lambda: page.keyboard.press("j"))
        assert page.locator("h1").inner_text() == f"Latent {FAR}"
        drawn(page, lambda: page.keyboard.press("k"))
        drawn(page, lambda: page.keyboard.press("Escape"))
        assert page.evaluate(focused) == "0"
        assert numbers(page) == [1, 0, FAR, 5, 4, 2, 3]


def test_planted_texts_stay_texts(browser: Browser, base: str) -> None:
    """Tokens, explanations, failures, prompts and answers are shown as they are and never run."""
    with watched(browser) as seen:
        page = seen.page
        page.add_init_script("window.ran = 0; window.planted = () => { window.ran += 1; };")
        for address in (PLACE, f"{PLACE}/latents", f"{PLACE}/latent/{FAILED}", f"{PLACE}/latent/0"):
            go(page, base, address)
        texts = page.locator(".explanation").all_text_contents()
        assert sum(PLANTED in text for text in texts) == 2
        page.locator("details").evaluate_all("(all) => all.forEach((one) => (one.open = true))")
        page.wait_for_selector(".answer pre")
        assert f"raw answer {PLANTED}" in page.locator(".answer pre").all_text_contents()
        windows = page.locator(".window").all_text_contents()
        assert any(PLANTED in text and "⏎" in text and "[U+202E]" in text for text in windows)
        assert page.locator("main script, main img").count() == 0
        assert page.evaluate("window.ran") == 0
        calm(seen, base)


def test_the_policy_forbids_what_is_not_the_sites_own(browser: Browser, base: str) -> None:
    """Inline scripts do not run, and nothing is asked of other hosts."""
    with watched(browser) as seen:
        page = seen.page
        go(page, base)
        refused = page.evaluate("""async () => {
          const refused = [];
          document.addEventListener("securitypolicyviolation", (event) => {
            refused.push(event.effectiveDirective);
          });
          const script = document.createElement("script");
          script.textContent = "window.inline = true";
          document.body.append(script);
          const image = new Image();
          image.src = "https://example.invalid/a.png";
          document.body.append(image);
          await fetch("https://example.invalid/").catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, 100));
          return [window.inline === undefined, refused.sort()];
        }""")
        assert refused == [True, ["connect-src", "img-src", "script-src-elem"]]


def test_a_latent_shows_windows_and_verdicts(browser: Browser, site: Path) -> None:
    """Shaded tokens with their activation, to the mouse, to keys and to a screen reader."""
    with watched(browser) as seen:
        page = seen.page
        go(page, site.as_uri() + "/", f"{PLACE}/latent/{SCORED}")
        rows = page.locator("tr[id^=example-]")
        assert rows.count() == 5
        first = page.locator("#example-default-0")
        assert "Fires on:" in str(first.locator(".window .hidden").text_content())
        assert first.locator("mark").first.get_attribute("class") == "s10"
        first.locator("mark").first.hover()
        assert "fires at 5, strength 10 of 10" in page.locator("#tooltip").inner_text()
        first.locator(".window").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert "fires at 2.5, strength 5 of 10" in page.locator("#tooltip").inner_text()
        verdict = first.locator(".verdict .hidden")
        assert (
            verdict.text_content()
            == "detection: right; answered yes, probability 0.90; right is yes"
        )
        recall = page.get_by_label("share of windows found by rank bin, 1: 1.00, 2: 1.00")
        assert recall.locator("circle").count() == 2
        other = page.locator("details.other")
        other.locator("summary").first.click()
        drawn(page, other.get_by_role("button").click)
        assert [
            page.locator(f"#example-default-{at} .verdict").inner_text()[0] for at in range(4)
        ] == ["!", "✓", "✗", "✓"]
        assert page.get_by_role("link", name=str(FAR)).count() >= 1
        assert page.get_by_role("img", name="Histogram of").count() == 1


def test_dark_and_light(browser: Browser, site: Path) -> None:
    """As the system has it, until the reader chooses; text has a contrast of 4.5 in both."""
    background = "getComputedStyle(document.documentElement).backgroundColor"
    shown = {}
    for scheme in ("light", "dark"):
        with watched(browser, color_scheme=scheme) as seen:
            page = seen.page
            for address in (f"{PLACE}/latent/{SCORED}", f"{PLACE}/latents", PLACE):
                go(page, site.as_uri() + "/", address)
                worst = page.evaluate(CONTRAST)
                assert worst[0] >= 4.5, (scheme, address, worst)
            shown[scheme] = page.evaluate(background)
            page.locator("#theme").click()
            page.locator("#theme").click()
            assert page.locator("#theme").inner_text() == "Theme: dark"
            drawn(page, page.reload)
            assert page.evaluate(background) == "rgb(21, 24, 28)"
    assert shown["light"] != shown["dark"]


def test_a_screen_reader_finds_its_way(browser: Browser, site: Path) -> None:
    """Headings, a real table with sorted columns, names for all controls, results announced."""
    with watched(browser) as seen:
        page = seen.page
        go(page, site.as_uri() + "/", f"{PLACE}/latents")
        drawn(page, page.get_by_role("button", name="Density").click)
        assert (
            page.get_by_role("columnheader", name="Density").get_attribute("aria-sort")
            == "descending"
        )
        assert page.get_by_role("rowheader").count() == 7
        drawn(page, lambda: page.get_by_role("searchbox", name="Search latents").fill("far"))
        assert page.get_by_role("status").inner_text().startswith("1 of 7 latents")
        for address in (PLACE, f"{PLACE}/latents", f"{PLACE}/latent/0"):
            go(page, site.as_uri() + "/", address)
            assert page.get_by_role("heading", level=1).count() == 1
            assert page.evaluate(UNNAMED) == []


def test_a_narrow_window_has_everything(browser: Browser, site: Path) -> None:
    """Nothing makes the page wider than a phone; wide tables scroll by themselves."""
    with watched(browser, viewport={"width": 390, "height": 800}) as seen:
        for address in (PLACE, f"{PLACE}/latents", f"{PLACE}/latent/0"):
            go(seen.page, site.as_uri() + "/", address)
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_is_missing_is_said(browser: Browser, tmp_path: Path) -> None:
    """A hookpoint with windows only, one whose name is no path; unknown places and latents."""
    lake = explained_lake.make_lake(tmp_path)
    write_lake(tmp_path / "lake", hookpoint=ODD_HOOKPOINT)
    publish(lake, "explanations", EXPLANATIONS, hookpoint="imported")
    publish(lake, "predictions", PREDICTIONS, hookpoint="imported")
    write_explorer(lake, tmp_path / "site")
    base = (tmp_path / "site").as_uri() + "/"
    with watched(browser) as seen:
        page = seen.page
        go(page, base, "")
        assert page.locator("tbody tr").count() == 3
        drawn(page, page.get_by_role("link", name=ODD_HOOKPOINT).click)
        assert page.locator("h1").inner_text().startswith(ODD_HOOKPOINT)
        bare = f"#/{explained_lake.RUN}/{explained_lake.HOOKPOINT}"
        go(page, base, bare)
        assert "There are no explanations yet." in page.locator("main").inner_text()
        go(page, base, f"{bare}/latent/2")
        assert page.locator("mark").count() > 0
        assert "Nobody has explained this latent yet." in page.locator("main").inner_text()
        go(page, base, f"#/hand/imported/latent/{SCORED}")
        assert "but not the windows they are about" in page.locator("main").inner_text()
        assert "detection by org/gpt: 2 of 3 right" in page.locator("main").inner_text()
        calm(seen, base)
        go(page, base, f"{bare}/latents?q=%&sort=nothing&density=a..b&page=99")
        assert numbers(page) == []
        go(page, base, "#/nowhere/at%all")
        assert page.locator("tbody tr").count() == 3
        go(page, base, f"{bare}/latent/999")
        assert "no latent 999" in page.locator("main").inner_text()
