-- MLflow has a database of its own; Optuna's tables live in a schema beside the results.
CREATE DATABASE mlflow OWNER dvta;
CREATE SCHEMA IF NOT EXISTS optuna AUTHORIZATION dvta;
