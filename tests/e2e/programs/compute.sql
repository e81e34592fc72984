-- SQLite: inserts, an index, joins, windows, aggregates, text, reals, a rollback, and the file's own integrity.
pragma journal_mode = delete;
create table t (id integer primary key, a integer, b real, c text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
insert into t select i, i * 7919 % 10007, i / 8.0, printf('%05x', i * 31 % 65536) from n;
create index t_a on t (a);
create index t_c on t (c, b);
select count(*), sum(a), sum(b), min(c), max(c), avg(b) from t;
select a % 10 as k, count(*), sum(b), group_concat(substr(c, 1, 1), '') from t where id % 997 = 0 group by k order by k;
select count(*) from t x join t y on x.a = y.id where y.b > 100.5;
select id, sum(a) over (order by id rows between 3 preceding and current row) from t where id > 19995 order by id;
begin; delete from t where id % 3 = 0; update t set b = b * 2 where a < 5000; select count(*), sum(b) from t; rollback;
select count(*), sum(b), total(a * b) from t;
delete from t where id % 5 = 0;
vacuum;
pragma integrity_check;
select hex(sum(a * 1000003 % 65521)), round(sum(b), 3), 9223372036854775807 + 0, -7 / 2, -7 % 3, 7.5 / 2, 1e308 * 10, typeof(1 << 40), 1 << 40 from t;
select upper(hex(cast('héllo' as blob))), length('héllo'), like('%l_o', 'hello'), instr('hello', 'l'), json_extract('{"a":[1,2.5]}', '$.a[1]');
