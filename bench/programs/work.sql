-- Inserts, indices, joins, aggregates, a window and updates, in memory.
create table item (id integer primary key, kind integer, price integer, name text);
create table sale (id integer primary key, item integer, amount integer);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 8000)
insert into item select i, i * 7919 % 101, i * 31 % 977, printf('item-%05x', i * 2654435761 % 1048576) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000)
insert into sale select i, i * 104729 % 8000 + 1, i % 7 + 1 from n;
commit;
create index item_name on item (name);
create index sale_item on sale (item);
select kind, count(*), sum(price * amount) as total from sale join item on item.id = sale.item group by kind order by total desc limit 5;
select count(*) from item a join item b on a.name < b.name and b.kind = a.kind where a.kind < 12;
select name, sum(price) over (order by name rows between 4 preceding and current row) from item order by name limit 3 offset 4000;
update item set price = price + (select count(*) from sale where sale.item = item.id);
select sum(price), count(distinct substr(name, 6, 2)), max(name) from item;
select count(*) from item where name like '%a_7%';
