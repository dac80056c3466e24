from test_browser import *
import test_browser as tb
def shot(page,c,name):
    c.scroll_into_view_if_needed(); page.wait_for_timeout(700); page.screenshot(path=f"/tmp/scratch_browser/{name}.png")
def test_look(page,start,lesson):
    test_lesson_07_runs_live_and_confirms_its_claims(lesson)
    l=lesson
    solution = next(cell["source"] for cell in lesson.cells()[::-1] if cell["source"].startswith("def fuse("))
    cell = lesson.cell("def fuse(")
    lesson.answer(cell, solution.replace("(image + text) / 2", "image + text")); page.wait_for_timeout(3000)
    shot(page,cell,"c_wrong")
    lesson.answer(cell, solution); page.wait_for_timeout(3000)
    shot(page,cell,"c_right")
    print(cell.inner_text()[-300:])
    q=l.cell("show_questions")
    q.get_by_role("button",name="Reveal").click(); page.wait_for_timeout(2500); 
    q.locator(".jp-OutputArea").screenshot(path="/tmp/scratch_browser/c_q_en.png")
    q.get_by_role("button",name="中文").click(); page.wait_for_timeout(1500)
    q.locator(".jp-OutputArea").screenshot(path="/tmp/scratch_browser/c_q_zh.png")
    for i,s in enumerate(["results = {","DAMAGE","NOISE","MATCHERS","weights = []","WIDTHS"]):
        c=l.cell(s); shot(page,c.locator(".jp-OutputArea"),f"c_out{i}")
