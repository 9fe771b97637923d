"""What training makes and the service serves: model versions, their network, and how texts reach it.

What needs torch is imported from its module (`model_store.versions.loading`), so that commands which only look
at a store start at once.
"""
