"""Programs served as models: async generator functions and LangGraph graphs behind OpenAI's chat API.

Imports api and logs alone, LangChain only where the image has it; nothing but the command line imports it.
"""
