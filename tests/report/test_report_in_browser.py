"""The page in a real browser: it sorts and filters, fits narrow and wide screens, and reports no errors."""

from contextlib import contextmanager

import pytest
from reported_errors import HOSTILE, data_with_errors

from multibox.report import save_report

SCREENS = [(width, scheme) for width in (390, 1440) for scheme in ("light", "dark")]
HISTORY = "epoch,loss,learning_rate,val_loss\n0,4.5,0.001,5\n1,2.5,0.0001,3\n"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    (folder / "history.csv").write_text(HISTORY)
    names = ("a" * 60, HOSTILE, "cat")
    data, detections = data_with_errors(names, ids=(HOSTILE, "b" * 90))
    settings = {"path": "/" + "c" * 300, HOSTILE: HOSTILE}
    return save_report(detections, data, folder, history=folder / "history.csv", settings=settings)


@contextmanager
def opened(browser, report, width=1440, scheme="light"):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on(
        "request", lambda request: request.url.startswith(("file:", "data:")) or messages.append(request.url)
    )
    try:
        page.goto(report.as_uri(), wait_until="load")
        yield page
        assert messages == []
        assert page.evaluate("window.hit") is None
    finally:
        page.close()


def shown(page):
    return page.locator(".pictures > li:visible figcaption b").all_inner_texts()


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_it_fits_the_screen(browser, report, width, scheme):
    with opened(browser, report, width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 29)"}[scheme]
        page.get_by_text("What the types mean").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Text on the page and on its panels can be read: WCAG asks for a contrast of 4.5.
        assert page.evaluate(CONTRAST) >= 4.5


CONTRAST = """() => {
  const light = (color) => {
    const parts = color.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255);
    const linear = parts.map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (!color.endsWith(", 0)")) return color;
    }
  };
  const texts = "p, small, dt, dd span, a, td, th, figcaption, button, select";
  const ratios = [...document.querySelectorAll(texts)]
    .filter((e) => !e.closest(".matrix") && e.offsetParent)
    .map((e) => [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => b - a))
    .map(([high, low]) => (high + 0.05) / (low + 0.05));
  return Math.min(...ratios);
}"""


def test_the_table_sorts_by_a_click_and_by_the_keyboard(browser, report):
    def column(page, index):
        return page.locator(f".sortable tbody tr > :nth-child({index})").all_inner_texts()

    with opened(browser, report) as page:
        assert column(page, 8) == ["3", "1", "0"]
        page.get_by_role("button", name="Class").click()
        assert column(page, 1) == [HOSTILE, "a" * 60, "cat"]
        assert page.locator(".sortable th[aria-sort]").get_attribute("aria-sort") == "ascending"
        page.get_by_role("button", name="Objects").focus()
        page.keyboard.press("Enter")
        assert column(page, 8) == ["3", "1", "0"]
        assert page.locator(".sortable th[aria-sort]").all_inner_texts() == ["Objects"]
        page.keyboard.press("Enter")
        assert column(page, 8) == ["0", "1", "3"]
        page.get_by_role("button", name="AP50").click()
        assert column(page, 3) == ["33.7", "0.0", "–"]  # noqa: RUF001


def test_pictures_are_filtered_by_error_and_class(browser, report):
    with opened(browser, report) as page:
        assert shown(page) == ["Miss", "Bkg", "Cls", "Loc", "Both", "Dupe", "Cls"]
        page.get_by_label("Error", exact=True).select_option("Cls")
        assert shown(page) == ["Cls", "Cls"]
        assert page.locator("#shown").inner_text() == "2 of 2 shown (of 7 in all)"
        page.get_by_label("Class", exact=True).select_option("3")
        assert shown(page) == []
        page.get_by_label("Error", exact=True).select_option("")
        page.get_by_label("Class", exact=True).select_option("2")
        assert sorted(shown(page)) == ["Both", "Cls", "Cls", "Miss"]
        assert page.evaluate("[...document.images].filter((i) => i.naturalWidth === 0).length") == 0


def test_a_class_is_highlighted_in_all_curves(browser, report):
    with opened(browser, report) as page:
        page.get_by_label("Highlight").select_option("1")
        assert page.locator("path.chosen").count() == 4
        page.get_by_label("Highlight").select_option("")
        assert page.locator("path.chosen").count() == 0


def test_long_galleries_come_in_parts(browser, tmp_path):
    data, detections = data_with_errors()
    records = [
        type(r)(f"{n}{r.image_id}", r.image, r.width, r.height, r.boxes, r.labels)
        for n in range(5)
        for r in data
    ]
    many = type(data)(data.class_names, records)
    with opened(browser, save_report(detections * 5, many, tmp_path)) as page:
        assert page.locator("#shown").inner_text() == "24 of 35 shown"
        page.get_by_role("button", name="Show more").press("Enter")
        assert len(shown(page)) == 35
        assert page.locator("#more").is_hidden()
        assert page.evaluate("document.activeElement === document.querySelectorAll('.pictures > li')[24]")


def test_without_scripts_everything_is_there(browser, report):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(report.as_uri(), wait_until="load")
    assert len(shown(page)) == 7
    assert page.locator(".sortable tbody tr").count() == 3
    page.close()
