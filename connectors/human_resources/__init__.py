"""Human Resources and Social Security Department (人力资源和社会保障厅): takes deaths, to stop pensions."""
