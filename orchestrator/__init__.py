"""The machine room of dvta-orch: specs, plans, execution, the result store, tables and reports.

Holds no model, no loss and no accuracy formula; those live in ``dvta``.
"""
