"""The packages that people use against such servers, unchanged, against this one (extra `clients`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.service.command_line import Shop
from tests.support.tiny_model import build_tiny_store

pytestmark = pytest.mark.long

QUERY = "usb c cable"
TEXTS = ["red sofa", "usb c cable", "tea", "a 4k tv"]
MODEL = "relevance:us"
KEY = "a-key-of-the-shop"

Found = list[tuple[int, float]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("clients")
    shop = Shop.in_folder(folder, build_tiny_store(folder, ("us", "es")))
    shop = Shop(shop.folder, {**shop.settings, "API_KEYS": KEY, "DEFAULT_MARKETPLACE": "us"})
    with shop.serving() as server:
        assert server.first_line.startswith("ready: ")
        yield server.address


@pytest.fixture(scope="module")
def expected(url: str) -> Found:
    import httpx

    body = {"model": MODEL, "query": QUERY, "documents": TEXTS}
    headers = {"Authorization": f"Bearer {KEY}"}
    results = httpx.post(f"{url}/v1/rerank", json=body, headers=headers).json()["results"]
    return [(item["index"], item["relevance_score"]) for item in results]


def cohere_v1(url: str) -> Found:
    import cohere

    client = cohere.Client(api_key=KEY, base_url=url)
    answer = client.rerank(model=MODEL, query=QUERY, documents=TEXTS)
    return [(item.index, item.relevance_score) for item in answer.results]


def cohere_v2(url: str) -> Found:
    import cohere

    client = cohere.ClientV2(api_key=KEY, base_url=url)
    answer = client.rerank(model=MODEL, query=QUERY, documents=TEXTS)
    return [(item.index, item.relevance_score) for item in answer.results]


def langchain_cohere(url: str) -> Found:
    from langchain_cohere import CohereRerank

    reranker = CohereRerank(model=MODEL, cohere_api_key=KEY, base_url=url, top_n=None)
    return [(item["index"], item["relevance_score"]) for item in reranker.rerank(TEXTS, QUERY, top_n=-1)]


def llama_index(reranker: object) -> Found:
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    nodes = [NodeWithScore(node=TextNode(text=text), score=0.0) for text in TEXTS]
    found = reranker.postprocess_nodes(nodes, QueryBundle(QUERY))  # type: ignore[attr-defined]
    return [(TEXTS.index(item.node.get_content()), item.score) for item in found]


def llama_index_tei(url: str) -> Found:
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    return llama_index(
        TextEmbeddingInference(base_url=url, model_name=MODEL, top_n=4, auth_token=f"Bearer {KEY}")
    )


def llama_index_cohere(url: str) -> Found:
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    return llama_index(CohereRerank(api_key=KEY, model=MODEL, base_url=url, top_n=4))


def llama_index_jina(url: str) -> Found:
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    return llama_index(JinaRerank(api_key=KEY, model=MODEL, base_url=f"{url}/v1", top_n=4))


def haystack(ranker: object) -> Found:
    from haystack import Document

    documents = [Document(content=text) for text in TEXTS]
    found = ranker.run(query=QUERY, documents=documents)["documents"]  # type: ignore[attr-defined]
    return [(TEXTS.index(item.content), item.score) for item in found]


def haystack_cohere(url: str) -> Found:
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.cohere import CohereRanker

    return haystack(CohereRanker(model=MODEL, api_key=Secret.from_token(KEY), api_base_url=url))


def haystack_jina(url: str) -> Found:
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.jina import JinaRanker

    return haystack(JinaRanker(model=MODEL, api_key=Secret.from_token(KEY), base_url=f"{url}/v1/rerank"))


def rerankers(provider: str) -> Callable[[str], Found]:
    def rerank(url: str) -> Found:
        from rerankers.models.api_rankers import APIRanker

        path = "/rerank" if provider == "text-embeddings-inference" else "/v1/rerank"
        ranker = APIRanker(MODEL, KEY, provider, url=url + path)
        found = ranker.rank(QUERY, TEXTS, doc_ids=list(range(len(TEXTS))))
        return [(item.document.doc_id, item.score) for item in found.results]

    return rerank


CLIENTS: dict[str, Callable[[str], Found]] = {
    "cohere v1": cohere_v1,
    "cohere v2": cohere_v2,
    "langchain-cohere": langchain_cohere,
    "LlamaIndex TEI": llama_index_tei,
    "LlamaIndex Cohere": llama_index_cohere,
    "LlamaIndex Jina": llama_index_jina,
    "Haystack Cohere": haystack_cohere,
    "Haystack Jina": haystack_jina,
    "rerankers cohere": rerankers("cohere"),
    "rerankers jina": rerankers("jina"),
    "rerankers TEI": rerankers("text-embeddings-inference"),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.filterwarnings("ignore")  # of the clients' own code
def test_a_client_ranks_as_the_service_does(url: str, expected: Found, client: str, tmp_path: Path) -> None:
    try:
        found = CLIENTS[client](url)
    except ImportError as error:
        pytest.skip(f"the extra `clients` is not installed: {error}")
    assert [index for index, _ in found] == [index for index, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-5)
