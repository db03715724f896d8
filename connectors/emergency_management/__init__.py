"""Emergency Management Department (应急管理厅): takes registrations of companies as signed files."""
