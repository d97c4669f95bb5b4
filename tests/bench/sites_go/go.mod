module npt/tests/bench/sites_go

go 1.22
