"""What the real services answer, after their public descriptions, about scrub jays.

The texts are written for these tests; the fields and their nesting are those of the services.
"""

from __future__ import annotations

import gzip
import html
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.engine.research.server import Reply, Request

SENTENCES = (
    "Western scrub jays hide thousands of acorns every autumn and find most of them again.",
    "They remember what they cached, where they cached it, and how long ago that was.",
    "A jay that was watched while it hid food comes back later and moves it somewhere else.",
    "Only birds that have stolen food themselves take such care against thieves.",
    "Perishable food such as wax worms is recovered earlier than nuts, which keep for months.",
    "The hippocampus of food-storing birds is larger than that of their relatives.",
    "Whether this is episodic memory, as people have it, is still argued about.",
    "Clayton and Dickinson showed in 1998 that the birds track the freshness of their stores.",
)

MODELLING = (
    "I want to model how scrub jays remember food in a database, with one row for each cache. "
    "A row would hold the place as a point, the kind of food, and the moment of caching. "
    "Which index finds the caches that are about to spoil, nearest first?"
)


def prose(start: int, sentences: int) -> str:
    return " ".join(SENTENCES[(start + at) % len(SENTENCES)] for at in range(sentences))


def wikipedia_search(count: int = 5) -> str:
    """https://www.mediawiki.org/wiki/API:Search, format version 2."""
    return json.dumps(
        {
            "batchcomplete": True,
            "continue": {"sroffset": count, "continue": "-||"},
            "query": {
                "searchinfo": {"totalhits": 1234, "suggestion": "", "suggestionsnippet": ""},
                "search": [
                    {
                        "ns": 0,
                        "title": f"Scrub jay {number}",
                        "pageid": 100 + number,
                        "size": 23_000,
                        "wordcount": 2_900,
                        "snippet": 'The <span class="searchmatch">scrub jay</span> eats &amp;',
                        "timestamp": "2025-03-04T05:06:07Z",
                    }
                    for number in range(count)
                ],
            },
        }
    )


def wikipedia_summary(title: str, number: int) -> str:
    """The answer of `/api/rest_v1/page/summary/{title}`."""
    return json.dumps(
        {
            "type": "standard",
            "title": title,
            "displaytitle": f"<i>{title}</i>",
            "namespace": {"id": 0, "text": ""},
            "titles": {"canonical": title.replace(" ", "_"), "normalized": title},
            "pageid": 100 + number,
            "lang": "en",
            "dir": "ltr",
            "revision": "1200000000",
            "timestamp": f"202{number}-03-04T05:06:07Z",
            "description": "Species of bird",
            "content_urls": {
                "desktop": {
                    "page": f"https://en.wikipedia.org/wiki/{title.replace(' ', '_')}",
                    "edit": "https://en.wikipedia.org/wiki/x?action=edit",
                },
                "mobile": {"page": "https://en.m.wikipedia.org/wiki/x"},
            },
            "extract": f"{title} is a corvid of western North America. " + prose(number, 4),
            "extract_html": "<p>…</p>",
        }
    )


def hacker_news(urls: list[str]) -> str:
    """https://hn.algolia.com/api: stories, the last one a text of its own."""
    hits: list[dict[str, Any]] = [
        {
            "_highlightResult": {"title": {"value": "Jays", "matchLevel": "full"}},
            "_tags": ["story", f"author_jay{number}", f"story_{4_000 + number}"],
            "author": f"jay{number}",
            "children": [4_100],
            "created_at": "2024-05-06T07:08:09Z",
            "created_at_i": 1_714_979_289 + number * 86_400,
            "num_comments": 42,
            "objectID": str(4_000 + number),
            "points": 120,
            "story_id": 4_000 + number,
            "title": f"Scrub jays plan for tomorrow, part {number}",
            "updated_at": "2024-06-01T00:00:00Z",
            "url": url,
        }
        for number, url in enumerate(urls)
    ]
    hits.append(
        {
            "author": "asker",
            "created_at_i": 1_600_000_000,
            "objectID": "4999",
            "title": "Ask HN: Do jays remember?",
            "story_text": f"<p>{html.escape(prose(3, 3))}<p>What do you think?",
        }
    )
    return json.dumps(
        {
            "exhaustiveNbHits": True,
            "hits": hits,
            "hitsPerPage": 5,
            "nbHits": len(hits),
            "nbPages": 1,
            "page": 0,
            "params": "query=jay",
            "processingTimeMS": 4,
            "query": "jay",
        }
    )


def arxiv(count: int = 5) -> str:
    """https://info.arxiv.org/help/api/user-manual.html, section 3.3.2."""
    entries = "".join(
        f"""
  <entry>
    <id>http://arxiv.org/abs/2{number}01.0000{number}v1</id>
    <updated>202{number}-01-02T03:04:05Z</updated>
    <published>202{number}-01-01T03:04:05Z</published>
    <title>Food caching in corvids &amp; memory,
      part {number}</title>
    <summary>  {prose(number + 2, 6)}
    </summary>
    <author><name>Nicola C.</name></author>
    <author><name>Anthony D.</name></author>
    <arxiv:comment xmlns:arxiv="http://arxiv.org/schemas/atom">12 pages</arxiv:comment>
    <link href="http://arxiv.org/abs/2{number}01.0000{number}v1" rel="alternate" type="text/html"/>
    <link title="pdf" href="http://arxiv.org/pdf/2{number}01.0000{number}v1" rel="related"/>
    <category term="q-bio.NC" scheme="http://arxiv.org/schemas/atom"/>
  </entry>"""
        for number in range(count)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <link href="http://arxiv.org/api/query?search_query=x" rel="self" type="application/atom+xml"/>
  <title type="html">ArXiv Query: search_query=x</title>
  <id>http://arxiv.org/api/cHxbiOdZaP56ODnBPIenZhzg5f8</id>
  <updated>2026-01-01T00:00:00-04:00</updated>
  <opensearch:totalResults xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">{count}
  </opensearch:totalResults>{entries}
</feed>"""


def stack_exchange_questions(count: int = 3) -> bytes:
    """https://api.stackexchange.com/docs/advanced-search, packed as the service always is."""
    return gzip.compress(
        json.dumps(
            {
                "items": [
                    {
                        "tags": ["ornithology"],
                        "owner": {"user_id": 7, "display_name": "O&#39;Jay"},
                        "is_answered": True,
                        "view_count": 900,
                        "answer_count": 2,
                        "score": 17,
                        "creation_date": 1_500_000_000 + number * 40_000_000,
                        "question_id": 9_000 + number,
                        "link": f"https://stackoverflow.com/questions/{9_000 + number}/jays",
                        "title": f"How do I model a jay&#39;s memory? ({number})",
                        "body": f"<p>{MODELLING}</p><pre><code>1 &lt; 2</code></pre>",
                    }
                    for number in range(count)
                ],
                "has_more": False,
                "quota_max": 300,
                "quota_remaining": 297,
            }
        ).encode()
    )


def stack_exchange_answers(numbers: list[int]) -> bytes:
    """https://api.stackexchange.com/docs/answers-on-questions."""
    return gzip.compress(
        json.dumps(
            {
                "items": [
                    {
                        "owner": {"display_name": "Helper"},
                        "is_accepted": True,
                        "score": 30,
                        "answer_id": 50_000 + number,
                        "question_id": number,
                        "body": f"<p>Cache {number}: an R-tree over places, filtered by time.</p>",
                    }
                    for number in numbers
                ],
                "has_more": False,
                "quota_max": 300,
                "quota_remaining": 296,
            }
        ).encode()
    )


def page(title: str, start: int) -> str:
    """A web page as they are: a menu, an article, a footer."""
    menu = "".join(f'<li><a href="/{n}">Section {n}</a></li>' for n in range(40))
    paragraphs = "".join(f"<p>{prose(start + at, 5)}</p>" for at in range(6))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="author" content="Jo Jay"><script>track()</script></head>'
        f"<body><nav><ul>{menu}</ul></nav><article><h1>{title}</h1>{paragraphs}</article>"
        "<footer>© Everybody. Accept cookies? Subscribe now!</footer></body></html>"
    )


RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
  xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>
  <title>Birds weekly</title><link>https://birds.example/</link><description>All</description>
  <item><title>Jays &amp; acorns</title><link>https://birds.example/jays</link>
    <description>Short.</description>
    <content:encoded><![CDATA[<p>Scrub jays cache acorns. <b>They remember</b> where.</p>]]>
    </content:encoded>
    <dc:creator>Ann</dc:creator><pubDate>Tue, 10 Jun 2025 04:00:00 GMT</pubDate></item>
  <item><title>Tax returns</title><link>https://birds.example/tax</link>
    <description>Nothing of interest.</description></item>
</channel></rss>"""


async def services(request: Request, reply: Reply) -> None:
    """All four services, and a page, on one server."""
    match request.path.split("/"):
        case ["", "w", "api.php"]:
            await reply.whole(wikipedia_search(int(request.query["srlimit"])))
        case ["", "api", "rest_v1", "page", "summary", name]:
            title = name.replace("_", " ").replace("%20", " ")
            await reply.whole(wikipedia_summary(title, int(title[-1])))
        case ["", "api", "v1", "search"]:
            await reply.whole(hacker_news([]))
        case ["", "api", "query"]:
            await reply.whole(arxiv(), kind="application/atom+xml; charset=utf-8")
        case ["", "2.3", "search", "advanced"]:
            await reply.whole(stack_exchange_questions(), Content_Encoding="gzip")
        case ["", "2.3", "questions", numbers, "answers"]:
            asked = [int(number) for number in numbers.replace("%3B", ";").split(";")]
            await reply.whole(stack_exchange_answers(asked), Content_Encoding="gzip")
        case ["", "feed"]:
            await reply.whole(RSS, kind="application/rss+xml")
        case ["", "page"]:
            await reply.whole(page("The memory of jays", 0), kind="text/html")
        case _:
            await reply.whole("{}", status=404)
