"""Market Regulation Administration (市场监督管理局): the company register, permits, penalties, licences."""
