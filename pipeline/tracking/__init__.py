"""The door to MLflow, and to Optuna's storage: views of the ledger, and the registry of models.

A view is written best effort while a stage runs, and made from the ledger whenever it may lack something.
"""
