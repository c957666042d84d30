"""Opens pages of a folder's files in Debian's Chromium for the tests, and says what is seen: one JSON object, on standard output.

    browser_driver.py PAGE.html [SHOTS]  ->  {"views": [{"view": "390 light", "problems": []}, …], "tables": {CAPTION: [[cell, …], …]}}

Each page is looked at on a phone, a tablet and a desk, light and dark, and as it is printed. A problem is: anything on the console;
a request; a page wider than its window; a chart, or a part of one, that has no size; something to be clicked or scrolled that the
Tab key does not reach; text that is not told from what is behind it (WCAG 2, AA); and whatever axe finds. A cell is its text, or
what its <data> or <time> says to a machine. With SHOTS, a folder, each view is kept as a picture.
"""

import json
import pathlib
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VIEWS = [(390, "light"), (390, "dark"), (820, "light"), (820, "dark"), (1440, "light"), (1440, "dark")]

OPEN_ALL = "document.querySelectorAll('details').forEach(details => details.open = true)"

TABLES = """() => {
    const cell = cell => {
        const told = [...cell.querySelectorAll('data, time')].map(each => each.value ?? each.dateTime);
        return told.length ? told.join(' ') : cell.textContent.trim();
    };
    const tables = {};
    for (const table of document.querySelectorAll('table'))
        tables[table.caption.textContent] = [...table.rows].map(row => [...row.cells].map(cell));
    return tables;
}"""

CHARTS = """() => {
    const problems = [], charts = document.querySelectorAll('svg');
    const size = element => { const box = element.getBoundingClientRect(); return [box.width, box.height]; };
    for (const chart of charts) {
        const name = chart.querySelector('title')?.textContent;
        const parts = [...chart.querySelectorAll('rect, path, text, line')];
        if (chart.getAttribute('role') !== 'img' || !name || !chart.querySelector('desc')?.textContent)
            problems.push(`a chart has no name: ${name}`);
        if (Math.min(...size(chart)) < 20 || !parts.some(part => part.matches('rect, path, line')))
            problems.push(`a chart is not drawn: ${name}`);
        const outer = chart.getBoundingClientRect();
        for (const part of parts) {
            const [width, height] = size(part), box = part.getBoundingClientRect();
            // A value of nothing is a bar of no length, and a line has no height.
            const isNothing = part.matches('rect') && ['width', 'height'].some(side => part.getAttribute(side) === '0');
            if (!isNothing && (part.matches('line') ? width : Math.min(width, height)) <= 0)
                problems.push(`a part of a chart has no size: ${name}: ${part.outerHTML.slice(0, 80)}`);
            if (box.left < outer.left - 1 || box.right > outer.right + 1 || box.top < outer.top - 1 || box.bottom > outer.bottom + 1)
                problems.push(`a part of a chart lies outside: ${name}: ${part.outerHTML.slice(0, 80)}`);
        }
        const texts = parts.filter(part => part.matches('text')).map(part => [part, part.getBoundingClientRect()]);
        for (const [one, a] of texts) for (const [other, b] of texts)
            if (one !== other && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 2 && b.top < a.bottom - 2)
                problems.push(`texts of a chart overlap: ${name}: ${one.textContent} and ${other.textContent}`);
    }
    if (!charts.length) problems.push('there is no chart');
    return problems;
}"""

CONTRAST = """() => {
    const parse = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(part => part / 255)
        .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
    const grounds = new Map();
    const behind = element => {
        if (!grounds.has(element)) {
            const colour = parse(getComputedStyle(element).backgroundColor);
            grounds.set(element, colour[3] === 0 ? behind(element.parentElement) : colour);
        }
        return grounds.get(element);
    };
    const problems = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || element.matches('title, desc')) continue;
        const style = getComputedStyle(element), isDrawn = element.namespaceURI.endsWith('svg');
        const [one, other] = [parse(isDrawn ? style.fill : style.color), behind(element)].map(light).sort((a, b) => b - a);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < 4.5) problems.add(`${ratio.toFixed(2)}: ${element.tagName}.${element.className.baseVal ?? element.className}`);
    }
    // What is drawn is told from the ground that it is on: three to one is enough where it is no text.
    for (const part of document.querySelectorAll('svg rect:not(.track), svg path')) {
        const [one, other] = [parse(getComputedStyle(part).fill), behind(part)].map(light).sort((a, b) => b - a);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < 3) problems.add(`${ratio.toFixed(2)}: ${part.tagName}.${part.className.baseVal}`);
    }
    return [...problems];
}"""

MARK_REACHABLE = """() => {
    const isShown = element => element.getClientRects().length > 0;
    const scrolls = element => element.scrollWidth > element.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(element).overflowX);
    const all = [...document.querySelectorAll('*')];
    const wanted = all.filter(element => isShown(element) && (element.matches('a[href], summary, button, input') || scrolls(element)));
    window.wanted = new Set(wanted);
    return wanted.length;
}"""

FOCUSED = """() => {
    const element = document.activeElement, style = getComputedStyle(element);
    window.wanted.delete(element);
    const isMarked = element === document.body || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2);
    return [window.wanted.size, isMarked ? null : element.outerHTML.slice(0, 80)];
}"""

LEFT = "() => [...window.wanted].map(element => element.outerHTML.slice(0, 80))"


def keyboard_problems(page):
    wanted, problems = page.evaluate(MARK_REACHABLE), []
    for _ in range(4 * wanted + 40):
        page.keyboard.press("Tab")
        left, unmarked = page.evaluate(FOCUSED)
        if unmarked:
            problems.append(f"focus is not seen: {unmarked}")
        if left == 0:
            break
    return problems + [f"Tab does not reach: {element}" for element in page.evaluate(LEFT)]


def looked_at(page, address, width, scheme):
    problems = []
    page.on("console", lambda message: problems.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("request", lambda request: request.url == address or problems.append(f"request: {request.url}"))
    page.goto(address)
    for state in ["as it is", "all open"]:
        if state == "all open":
            page.evaluate(OPEN_ALL)
        wide, window = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        if wide > window:
            problems.append(f"{state}: {wide} px wide in a window of {window}")
    problems += page.evaluate(CHARTS)
    problems += [f"contrast: {problem}" for problem in page.evaluate(CONTRAST)]
    # Where all that can scroll does.
    if (width, scheme) == VIEWS[0]:
        problems += keyboard_problems(page)
        for violation in Axe().run(page).response["violations"]:
            problems += [f"axe: {violation['id']}: {node['html'][:120]}" for node in violation["nodes"]]
    return problems


def main():
    path = pathlib.Path(sys.argv[1]).resolve()
    shots = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    address, views, tables = path.as_uri(), [], {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for width, scheme in VIEWS:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            if shots:
                page.goto(address)
                page.screenshot(path=shots / f"{path.stem}-{width}-{scheme}.png", full_page=True)
            views.append({"view": f"{width} {scheme}", "problems": looked_at(page, address, width, scheme)})
            tables = page.evaluate(TABLES)
            page.close()
        # Paper is narrower than it seems, and light even at night.
        page = browser.new_page(viewport={"width": 718, "height": 1000}, color_scheme="dark")
        page.emulate_media(media="print")
        views.append({"view": "print", "problems": looked_at(page, address, 718, "print")})
        if shots:
            page.pdf(path=shots / f"{path.stem}.pdf", print_background=True)
        browser.close()
    print(json.dumps({"views": views, "tables": tables}))


main()
