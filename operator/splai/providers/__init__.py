"""The APIs of providers, translated from and to OpenAI's: pure functions of requests, replies and events; no I/O.

Imports api only. The `adapter` sends what they make. One folder or file a provider:

    openai      OpenAI, every server with its API, and Azure: passed through, but for names, addresses and ends
    anthropic   the Messages API
    gemini      generateContent, streamGenerateContent and batchEmbedContents
"""
