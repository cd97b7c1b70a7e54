/* distribute_move.h: rows of a loop that move to another rank: what distribute_move.c and distribute_settle.c share. */
#ifndef DISTRIBUTE_MOVE_H
#define DISTRIBUTE_MOVE_H

#include "distribute.h"

enum { MOST_COLUMNS = 16, CHEAP_KEY = 32, WHOLE_ELEMENT = -1 };

/* What moves of a row: a value, or a let's, or a field of the element, or all of it. */
typedef struct Column {
    Node *value; /* or NULL */
    Symbol *let; /* or NULL */
    int field;
    Type *type;
} Column;

typedef struct Move Move;
struct Move {
    Distribute *d;
    const Node *loop, *lambda;
    bool (*stays)(const Move *,
                  Node *); /* is the value of a let, or a condition, computed where the row goes? */
    const Symbol *dict;    /* rows move to its keys; or NULL */
    const Node *rest;      /* of the function, from where it runs where the row goes */
    Node *key;
    unsigned char *bound; /* by symbol id: BEFORE the rest, or WITHIN it */
    int symbols;
    Column columns[MOST_COLUMNS]; /* behind the key's */
    int count;
    bool failed;
};
enum { BEFORE = 1, WITHIN = 2 };

/* The names that the function may bind by now have room in m->bound. False: no memory. */
bool move_room(Move *m);
bool is_own_builder(const Move *m, const Node *node);
/* A use of the element, or of a field of it. */
bool is_element(const Move *m, const Node *node);
/* The next node of the path to the rest; NULL: the rest begins here. */
Node **move_step(const Move *m, Node *node);
/* m->rest, and what is bound before and within it. */
void find_rest(Move *m);
/* What the rest needs of a row beside the key. */
void find_columns(Move *m);
Node *column_value(const Move *m, int column, Span span);
Type *column_type(const Move *m, int column);
/* The type of a struct with a vector of each column, an appender, or (TY_struct) an element. */
Type *columns_type(const Move *m, TypeKind kind);
/* for(data of the loop, {appender, ..}, |c, i, x| ..{merge(c.$0, key), ..}..) */
Node *collecting_loop(const Move *m);
/* The loop over the columns of *moved. local: what stands for the dictionary; NULL: there is none. */
Node *arrived_loop(const Move *m, Symbol *moved, Symbol *local);

#endif
