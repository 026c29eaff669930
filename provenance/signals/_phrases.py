"""Phrases that assistants leave in text: the ten languages with most web pages, and Dutch, Polish, Korean, Turkish and others.

Each is a pair: words that every match holds, found by one pass without backtracking (RE2 syntax), and the expression
itself. Quotation marks and apostrophes stand in their typewriter and typographic forms, and East Asian
punctuation in both widths.

`SPEAKER`: the text's voice says that it is a model. The first person is part of each phrase, because "the program works as a
language model" is said by people. `REFUSAL`: the voice declines a prompt or gives the end of its knowledge. `HEDGE`: what people
say too, but rarely. `OPENER`: the first words of an answer. `CLOSER`: the last ones, which helpful people write too. `ARTEFACT`: marks of an
assistant's interface. Phrases from SCIENCE 2.7 (Academ-AI, NewsGuard) and the assistants' own habits; translations are the
project's.
"""

Phrases = tuple[tuple[str, str], ...]

_A = r"['’ʼ＇]"  # apostrophes
_BY = r"(?: (?:trained|developed|created|designed|made|built)(?: and \w+)? by (?:an? )?[\w.]+(?: \w+)?)?"
_MODEL_EN = r"(?:(?:large|ai|artificial intelligence|an? ai|neural|text[- ]based)[ -])*language[ -]model(?: ai)?"
_ASSISTANT_EN = r"(?:(?:helpful|virtual|conversational|large|text[- ]based)[ -])*(?:ai|artificial intelligence)(?:[ -](?:assistant|chat-?bot|model|system|program|bot|language[ -]model))?"
_I_EN = rf"i(?:{_A}(?:m|ve|d|ll))?\b(?! (?:built|use|used|wrote|trained|made|tested))|my\b|it(?: is|{_A}s) (?:not |un|im|in|against |beyond |outside )[^.!?\n]{{0,60}}\b(?:me|my)\b"
_ZH_ME = r"[,，、:：]?\s?(?:我|本人|咱)"
_IA = r"(?:ia|inteligencia artificial)"

SPEAKER: Phrases = (
    (r"language[ -]model", rf"\bas (?:an? )?{_MODEL_EN}{_BY},? (?:{_I_EN})"),
    (r"as an? (?:helpful |virtual |conversational |large |text[- ]based )*(?:ai|artificial)", rf"\bas an? {_ASSISTANT_EN}{_BY}, ?(?:{_I_EN})"),
    (r"language[ -]model", r"\bas an? (?:large |artificial intelligence |ai )+language model, [^.!?\n“”\"]{0,40}\b(?:i|me|my)\b"),
    (r"language[ -]model", rf"\bi(?:{_A}?m| am) (?:just |only |merely |simply )*an? (?:large |ai |artificial intelligence )*language model\b(?! (?:researcher|engineer|expert|developer|enthusiast))"),
    (r"m (?:just |only |merely )?an ai|am (?:just |only |merely )?an ai", rf"\bi(?:{_A}?m| am) (?:(?:just|only|merely) an ai(?: (?:assistant|model|chat-?bot))?\b(?! \w+(?:er|or|ist)\b)|an ai(?: (?:assistant|model|chat-?bot|language model))?(?:, (?:and |so )?(?:i|it|my)\b|{_BY[:-1]} ))"),
    (r"as an? (?:large )?ai language model", rf"(?:^|[.!?\n]\s*)as an? (?:large )?ai language model, (?:it(?: is|{_A}s) (?:important|not|crucial|essential|difficult|impossible|worth)|there (?:is|are)\b|here(?: is|{_A}s| are)|please\b|unfortunately\b|regrettably\b)"),
    (r"am chatgpt|m chatgpt|as chatgpt", rf"\bi(?:{_A}?m| am) chatgpt, an? |\bas chatgpt, (?:an? [\w -]{{2,50}}, )?(?:i\b|my\b)"),
    (r"(?:trained|developed|created|made|built) by (?:openai|google|anthropic|meta|microsoft|deepseek)", r"\bi (?:was|am|have been) (?:an? [\w -]{2,40} )?(?:trained|developed|created|made|built) by (?:openai|google|anthropic|meta|microsoft|deepseek)\b"),
    (r"como (?:una? )?(?:gran )?(?:modelo|ia|intelig|asistente)", rf"\bcomo (?:una? )?(?:gran )?(?:modelo (?:de )?(?:lenguaje|{_IA})(?: (?:de |basado en |grande|extenso|natural)?(?:{_IA})?)?|{_IA}|asistente (?:de {_IA}|ia|virtual))(?: (?:desarrollad|entrenad|cread)[oa] por \w+)?, ?(?:no (?:puedo|tengo|soy|estoy|poseo|dispongo|me\b|debo|cuento|s[ée]\b|es (?:posible|apropiado|ético) para mí)|yo\b|mis?\b|me\b|carezco|puedo|tengo|s[oó]lo puedo|soy|estoy|debo|lamento|lo siento)"),
    (r"soy (?:s[oó]lo |simplemente )?una? (?:modelo|ia|intelig|asistente)", rf"\bsoy (?:s[oó]lo |simplemente )?una? (?:modelo de (?:lenguaje|ia)|{_IA}\b|asistente (?:de {_IA}|virtual de ia))(?=[\s,.;:]|$)"),
    (r"als (?:eine? )?(?:gro[sß]+es )?(?:ki|sprach|künst)", r"\bals (?:eine? )?(?:gro(?:ß|ss)es )?(?:ki[- ]?(?:sprachmodell|modell|assistent(?:in)?|system|chat-?bot|basiertes sprachmodell)|sprachmodell|künstliche intelligenz|ki)(?:,? (?:das |die )?von \w+(?: \w+ \w+)?,?)?,? (?:(?:kann|habe|bin|besitze|verfüge|darf|werde|möchte|muss|weiß|kenne|verstehe|unterliege) (?:ich|leider)\b|ist es mir|ist mein|sind mein)"),
    (r"ich bin (?:nur |lediglich |bloß |doch )?eine? (?:ki|sprach|künst|gro|von )", r"\bich bin (?:nur |lediglich |bloß |doch )?(?:ein |eine )(?:großes |von \w+ \w+ )?(?:ki[- ]?(?:sprachmodell|modell|assistent|chat-?bot)|sprachmodell|künstliche intelligenz|ki)(?=[\s,.;:]|$)"),
    (r"tant qu(?:['’ʼ＇] ?(?:ia|intel|assist|une? )|e (?:grand )?mod)", rf"\ben tant qu(?:{_A} ?(?:ia|intelligence artificielle|assistante? (?:virtuel(?:le)?|ia|d{_A}ia|basée? sur l{_A}ia)|assistant|un (?:modèle|assistant)[\w ]{{0,30}}|une (?:ia|intelligence artificielle))|e (?:grand )?modèle (?:de lang(?:age|ue)|linguistique|d{_A}ia)(?: (?:d{_A}|par )?(?:ia|intelligence artificielle)| de grande taille| naturel)?)(?: (?:développé|entraîné|créé)e? par \w+)?, ?(?:je\b|j{_A}|mes?\b|mon\b|ma\b|il (?:ne )?m{_A})"),
    (r"suis (?:qu['’ʼ＇]|juste |simplement |seulement )?une? (?:modèle|ia|intell|assist)", rf"\bje (?:ne )?suis (?:juste |simplement |seulement |qu{_A})?une? (?:modèle de langage|ia\b|intelligence artificielle|assistant (?:ia|virtuel))(?=[\s,.;:]|$)"),
    (r"como (?:uma? )?(?:grande )?(?:modelo|ia|intelig|assistente)", r"\bcomo (?:uma? )?(?:grande )?(?:modelo de (?:linguagem|língua|ia)|ia|inteligência artificial|assistente (?:de (?:ia|inteligência artificial)|virtual))(?: (?:de (?:ia|inteligência artificial|grande (?:porte|escala))|grande|natural))?(?: (?:desenvolvid|treinad|criad)[oa] (?:pela|por) \w+)?, ?(?:não (?:posso|tenho|sou|estou|possuo|me\b|devo|consigo|sei\b)|eu\b|meus?\b|minhas?\b|posso|tenho|sou\b|lamento|sinto)"),
    (r"sou (?:apenas |só )?uma? (?:modelo|ia|intelig|assistente)", r"\bsou (?:apenas |só )?uma? (?:modelo de (?:linguagem|ia)|ia\b|inteligência artificial|assistente (?:de ia|virtual de ia))(?=[\s,.;:]|$)"),
    (r"(?:come|quanto|essendo) (?:una?['’ʼ＇]? ?)?(?:grande )?(?:modello|ia|intelli|assistente|ai)", rf"\b(?:come|in quanto|essendo) (?:una?{_A}? ?)?(?:grande )?(?:modello (?:linguistico|di lingua(?:ggio)?|di ia)(?: (?:di |basato sull{_A})?(?:ia|intelligenza artificiale|grandi dimensioni))?|ia|intelligenza artificiale|assistente (?:ia|virtuale|di intelligenza artificiale|ai)|ai)(?: (?:sviluppat|addestrat|creat)[oa] da \w+)?, ?(?:non (?:posso|ho|sono|dispongo|possiedo|mi\b|devo|sono in grado)|io\b|mi\b|posso|ho\b|sono\b|il mio|la mia)"),
    (r"sono (?:solo |soltanto |semplicemente )?un(?:a|['’ʼ＇])? ?(?:modello|ia|intell|assist)", rf"\bsono (?:solo |soltanto |semplicemente )?un(?:a|{_A})? ?(?:modello linguistico|modello di linguaggio|ia\b|intelligenza artificiale|assistente (?:ia|virtuale))(?=[\s,.;:]|$)"),
    (r"(?:как|будучи) (?:больш(?:ая|ой) |искусственная |нейросетевая )?(?:языков|ии|модель и|искусств|нейросет|виртуал)", r"\b(?:как|будучи) (?:большая |большой |искусственная |нейросетевая )?(?:языков(?:ая|ой) модель(?:ю)?(?: (?:ии|искусственного интеллекта))?|ии(?:-(?:модель|ассистент|помощник|система))?|модель (?:ии|искусственного интеллекта)|искусственн(?:ый|ым) интеллект(?:ом)?|нейросеть(?:ю)?|виртуальный (?:ассистент|помощник))(?:,? (?:разработанн|обученн|созданн)\w+ \w+)?,? ?(?:я\b|у меня\b|мне\b|мо[ийея]\b|к сожалению, я)"),
    (r"языковая модель|я[ —–-]{1,3}(?:всего лишь |просто |только |лишь )?(?:искусственный интел|нейросеть|ии)", r"(?<!\w)я\s?[-—–]?\s?(?:всего лишь |просто |только |лишь )?(?:большая )?(?:языковая модель|искусственный интеллект|нейросеть|ии(?:-(?:модель|ассистент|помощник))?)(?=[\s,.;:]|$)"),
    (r"als (?:een )?(?:groot )?(?:ai|taalmodel|kunstm)", r"\bals (?:een )?(?:groot )?(?:ai[- ](?:taal)?model|(?:ai-)?taalmodel|ai[- ](?:assistent|chatbot|systeem)|kunstmatige intelligentie|ai)(?: van \w+)?,? (?:kan|heb|ben|mag|beschik|weet|wil) ik\b"),
    (r"ik ben (?:maar |slechts |gewoon |alleen )?een (?:ai|taal|kunst)", r"\bik ben (?:maar |slechts |gewoon |alleen )?een (?:ai(?:-taalmodel|-model|-assistent)?|taalmodel|kunstmatige intelligentie)(?=[\s,.;:]|$)"),
    (r"jako (?:du[żz]y )?(?:model|asystent|sztuczn|ai)", r"\bjako (?:duży )?(?:model (?:językowy|ai|sztucznej inteligencji)(?: (?:ai|sztucznej inteligencji))?|asystent (?:ai|wirtualny)|sztuczna inteligencja|ai),? ?(?:nie (?:mogę|mam|jestem|posiadam|potrafię)|ja\b|mam\b|mogę|jestem|moj[ae]\b|mój\b)"),
    (r"jestem (?:tylko |jedynie )?(?:modelem|sztuczn|asystent)", r"\bjestem (?:tylko |jedynie )?(?:modelem (?:językowym|ai)|sztuczną inteligencją|asystentem (?:ai|wirtualnym))"),
    (r"言語モデル|(?:AI|人工知能)(?:アシスタント|チャットボット|モデル)?(?:として|なので|であるため|ですので)", r"(?:(?:AI|ＡＩ|人工知能|大規模)(?:の)?(?:大規模)?言語モデル|(?:AI|ＡＩ|人工知能)(?:アシスタント|チャットボット|モデル)?)(?:として|なので|であるため|ですので|である)[、,，]?(?:私|わたし|僕|当方|[^。\n「」『』]{0,40}(?:でき(?:ません|ない)|ありません|持っていません|持ちません|かねます|お答え|申し訳))"),
    (r"(?:私|わたし|僕)は、?(?:単なる|ただの|あくまでも?)?(?:AI|ＡＩ|言語|人工知能|大規模|OpenAI|Google)", r"(?:私|わたし|僕)は、?(?:(?:OpenAI|Google)[^。、\n]{0,15})?(?:単なる|ただの|あくまで(?:も)?)?(?:(?:AI|ＡＩ|人工知能|大規模)(?:の)?言語モデル|言語モデル|(?:AI|ＡＩ|人工知能)(?:アシスタント|チャットボット)?)(?:で(?:す|あり|ある)|なので|のため|に(?:過|す)ぎ)"),
    (r"(?:作[为為]|身[为為])(?:一.)?(?:由|AI|ＡＩ|人工智|大|[语語]言)", rf"(?:作[为為]|身[为為])(?:一(?:个|個|名|款|位|种|種|台))?(?:由.{{2,12}}(?:开发|開發|训练|訓練|创建|創建)的)?(?:(?:AI|ＡＩ|人工智能|人工智慧|大型|大)(?:的)?(?:[语語]言)?大?(?:模型|助手|助理|(?:聊天)?(?:机器人|機器人)|程序|系统|系統)|[语語]言模型|(?:AI|ＡＩ|人工智能|人工智慧))(?:{_ZH_ME}|[,，](?:并不|並不|无法|無法|不能|没有|沒有|不具[备備]))"),
    (r"我(?:只|仅仅|僅僅)?(?:是|不过是|只不过是)(?:一(?:个|個|名|款|位)|个|個)?(?:由|AI|ＡＩ|人工智|大型|[语語]言)", r"我(?:只|仅仅|僅僅)?(?:是|不过是|只不过是)(?:一(?:个|個|名|款|位)|个|個)?(?:由.{2,12}(?:开发|開發|训练|訓練|创建|創建)的)?(?:(?:AI|ＡＩ|人工智能|人工智慧|大型)(?:的)?(?:[语語]言)?大?(?:模型|助手|助理|(?:聊天)?(?:机器人|機器人))|[语語]言模型)"),
    (r"언어 ?모델|(?:AI|인공지능) ?(?:어시스턴트|비서|챗봇|모델)?(?:로서|이기|이므로)|(?:저는|나는|전) (?:AI|인공)", r"(?:저는|나는|제가|전) (?:단지 |그저 )?(?:AI|인공지능|대규모) ?(?:언어 ?모델|어시스턴트|챗봇|비서|모델)|(?:AI|인공지능|대규모) ?언어 ?모델(?:로서|로써|이기 때문에|이므로|이라)|(?:AI|인공지능)(?: ?(?:어시스턴트|비서|챗봇|모델))?(?:로서|로써|이기 때문에|이므로),? ?(?:저는|제가|나는|저의|[^.\n]{0,30}(?:없습니다|못합니다|않습니다))"),
    (r"yapay zek", r"\b(?:bir )?yapay zek[aâ] (?:dil modeli|asistanı|modeli|sohbet botu) ?(?:olarak\b|olduğum(?:dan| için)|y[iı]m\b)|\bben (?:sadece )?bir (?:yapay zek[aâ]|dil modeli)(?:y[iı]m)?\b"),
    (r"dil modeli", r"\bbir dil modeli (?:olarak, (?:ben|benim|kişisel)|olduğum için)|\bben (?:sadece )?bir dil modeliyim"),
    (r"sebagai (?:sebuah )?(?:model|asisten|ai)", r"\bsebagai (?:sebuah )?(?:model bahasa(?: (?:ai|besar|kecerdasan buatan))*|asisten (?:ai|virtual)|ai|kecerdasan buatan),? saya\b"),
    (r"là một (?:mô hình|trợ lý|ai)", r"\b(?:là|với tư cách là) một (?:mô hình ngôn ngữ(?: (?:ai|lớn|trí tuệ nhân tạo))*|trợ lý (?:ai|ảo)|ai),? tôi\b"),
    (r"(?:بصفتي|باعتباري|كوني|أنني) (?:مجرد )?(?:نموذج|مساعد|ذكاء)", r"(?:بصفتي|باعتباري|كوني|بما أنني) (?:مجرد )?(?:نموذج(?:ا|اً)? (?:لغة|لغوي\w*|ذكاء)|مساعد(?:ا|اً)? (?:ذكاء|افتراضي)|ذكاء(?:ا|اً)? اصطناعي)"),
)  # fmt: skip
REFUSAL: Phrases = (
    (r"sorry,? but|apologi[sz]e,? but", rf"\bi(?:{_A}?m(?: really)? sorry| am sorry| apologi[sz]e),? but (?:as an ai\b|i(?: cannot| can{_A}t| am (?:unable|not able) to|{_A}m (?:unable|not able) to) (?:fulfill?|comply with|generate|produce) )"),
    (r"(?:fulfill?|complete|comply with) (?:this|that|your|the) (?:request|prompt)", rf"\bi(?: cannot| can{_A}t| can not| am (?:unable|not able) to|{_A}m (?:unable|not able) to| won{_A}t) (?:fulfill?|complete|comply with) (?:this|that|your|the) (?:request|prompt)\b"),
    (r"my (?:last |latest |most recent )?(?:knowledge|training|update)", r"\b(?:as of|up to|since|until|beyond|after|before) my (?:last |latest |most recent )?(?:(?:knowledge|training)(?: data)? )?(?:cut-?off|update|training)\b"),
    (r"my knowledge", r"\bmy knowledge (?:cut-?off (?:is|was|date)|(?:only )?(?:goes|extends|is (?:limited|current|up to date)|ends|was last updated)(?: only)? (?:up to|until|to|in|as of))\b"),
    (r"my training data", r"\bmy training data (?:only )?(?:goes|ends|extends|includes information|is (?:limited to|current|up to date)|was cut)\b"),
    (r"(?:siento|disculpa|lamento),? pero", r"\b(?:lo siento|disculpa|lo lamento),? pero (?:como (?:modelo de|ia\b|una ia)|no puedo (?:cumplir|completar|ayudar(?:te|le)?|generar)(?: con)? (?:esta|esa|tu|su|dicha) (?:solicitud|petición))"),
    (r"de mi (?:conocimiento|entrenamiento)|mi (?:última actualización|fecha de corte|conocimiento|entrenamiento)", r"\b(?:hasta |según )?(?:la fecha de corte de mi (?:conocimiento|entrenamiento)|mi (?:última actualización|fecha de corte|conocimiento (?:llega|se limita|está limitado|abarca)|entrenamiento (?:llega|finaliza)))"),
    (r"leid, aber|entschuldig(?:e|en sie|ung), aber", r"\b(?:es tut mir (?:sehr )?leid|tut mir leid|entschuldig(?:e|en sie|ung)), aber (?:als (?:ki|sprachmodell)|ich kann (?:diese[rn]?|deine[rn]?|ihre[rn]?|dieser) (?:anfrage|bitte|aufforderung) (?:nicht|leider))"),
    (r"wissensstand|stand mein|mein wissen|meine trainingsdaten", r"\b(?:mein wissensstand (?:ist|reicht|endet|bezieht)|stand mein(?:es|er) (?:wissens|letzten aktualisierung|trainings(?:daten)?)\b|mein wissen (?:reicht|endet|ist) (?:nur )?(?:bis|auf)|meine trainingsdaten (?:reichen|enden|gehen) )"),
    (r"désolée?,? mais", r"\bdésolée?,? mais (?:en tant qu|je ne (?:peux|puis) pas (?:répondre à|satisfaire|donner suite à|traiter) (?:cette|votre|ta) (?:demande|requête))"),
    (r"mes connaissances|ma dernière mise|mes données d", r"\b(?:(?:à|jusqu.à) (?:la date (?:limite|de coupure) de )?mes connaissances|mes connaissances (?:s.arrêtent|sont limitées|vont jusqu)|ma dernière mise à jour|mes données d.entraînement (?:s.arrêtent|vont jusqu))"),
    (r"(?:muito|desculpe|lamento),? mas", r"\b(?:sinto muito|desculpe|lamento),? mas (?:como (?:modelo de|ia\b|uma ia)|não (?:posso|consigo) (?:atender|cumprir|completar)(?: a| com)? ?(?:esta|essa|sua|seu|esse|à sua|ao seu) (?:solicitação|pedido))"),
    (r"minha última atualização|do meu (?:conhecimento|treinamento)|meu conhecimento", r"\b(?:minha última atualização|(?:a )?data (?:limite|de corte) do meu (?:conhecimento|treinamento)|meu conhecimento (?:vai até|está limitado|se limita|é limitado))"),
    (r"(?:dispiace|spiacente),? ma ", r"\b(?:mi dispiace|sono spiacente),? ma (?:come (?:modello|ia\b)|in quanto|non posso (?:soddisfare|completare|evadere) (?:questa|la tua|la sua|tale) richiesta)"),
    (r"mio ultimo aggiornamento|mie conoscenze|mia conoscenza", r"\b(?:al mio ultimo aggiornamento|le mie conoscenze (?:arrivano|sono aggiornate|si fermano|sono limitate)|la mia conoscenza (?:è limitata|si ferma|arriva))"),
    (r"(?:извините|простите|сожалению|сожалею),? (?:но )?(?:как|я не могу)", r"(?:извините|простите|к сожалению|сожалею),? (?:но )?(?:как (?:языковая|ии|модель)|я не могу (?:выполнить|обработать) (?:этот|ваш|твой|данный) запрос|я не могу выполнить эту просьбу)"),
    (r"последнего обновления|мои знания|отсечения", r"(?:(?:на момент|по состоянию на) (?:моего )?последнего обновления (?:моих )?(?:знаний|данных)|мои знания (?:ограничены|актуальны|заканчиваются)|дата отсечения (?:моих )?знаний)"),
    (r"(?:抱歉|对不起|對不起|很遗憾)[,，]", r"(?:抱歉|对不起|對不起|很遗憾)[,，](?:但)?(?:我(?:无法|無法|不能)(?:满足|滿足|完成|提供|执行|執行|处理)(?:您|你|這個|这个|此|该)?的?(?:这个|這個|该|此)?(?:请求|請求|要求)|作[为為](?:一(?:个|個))?(?:AI|人工智|[语語]言模型))"),
    (r"我的(?:知识|知識|训练|訓練|最后|最後)", r"(?:截至)?我的(?:知识|知識)(?:库|庫)?(?:截止|更新|只到|仅限|僅限)|截至我(?:的)?(?:最后|最後|上次)(?:一次)?(?:更新|训练|訓練)|我的(?:训练|訓練)(?:数据|數據|资料|資料)(?:截止|只到)"),
    (r"(?:申し訳|すみません|ごめんなさい)(?:ありません|ございません)?(?:が|けど)?[、,，]", r"(?:申し訳(?:ありません|ございません)|すみません|ごめんなさい)(?:が|けど)?[、,，](?:その|この|ご|あなたの)?(?:要求|リクエスト|ご?要望|ご?依頼)には?(?:お応え|応じる|対応|添う)(?:することは)?(?:でき|いたしかね|ことができ)"),
    (r"私の(?:知識|学習|訓練|トレーニング)", r"私の(?:知識(?:の)?(?:カットオフ|は\d{4}年)|(?:学習|訓練|トレーニング)データは\d{4}年)"),
    (r"(?:spijt me|sorry),? maar", r"\b(?:het spijt me|sorry),? maar (?:als (?:ai|taalmodel)|ik kan (?:niet )?(?:aan )?(?:dit|deze|je|jouw|uw) verzoek)"),
    (r"(?:przykro mi|przepraszam),? ale", r"\b(?:przykro mi|przepraszam),? ale (?:jako (?:model|ai)|nie mogę (?:spełnić|zrealizować) (?:tej|tego|twojej|państwa) (?:prośby|żądania))"),
    (r"죄송(?:합니다|하지만|스럽지만)", r"죄송(?:합니다|하지만|스럽지만)[.,]? ?(?:저는|AI|인공지능|하지만)? ?(?:이|그|해당|귀하의) ?(?:요청|요구)(?:을|를|에) ?(?:수행|이행|처리|응)"),
    (r"üzgünüm", r"\büzgünüm,? (?:ancak|ama|fakat) (?:bir (?:yapay|dil)|bu (?:isteği|talebi) (?:yerine|gerçekleştir))"),
)  # fmt: skip
HEDGE: Phrases = (
    (r"(?:assist|help)(?: you)? with (?:that|this|your|the|creating)", rf"\bi(?: cannot| can{_A}t| am (?:unable|not able) to|{_A}m (?:unable|not able) to) (?:assist|help)(?: you)? with (?:that|this|your|the) (?:request|task|prompt)"),
    (r"personal (?:opinion|belief|experience|feeling|preference)", rf"\bi (?:do not|don{_A}t) (?:have|possess|hold) (?:any )?personal (?:opinions?|beliefs?|experiences?|feelings|preferences)(?:,| or| and)"),
    (r"real-time|browse the internet", rf"\bi (?:do not|don{_A}t) have (?:access to real-time|the ability to (?:browse|access))"),
    (r"my capabilities", r"\bmy capabilities (?:lie|are limited)\b"),
    (r"no tengo opiniones|opiniões pessoais|persönlichen meinungen|opinions personnelles", r"\bno tengo opiniones personales|\bnão tenho opiniões pessoais|\bich habe keine persönlichen meinungen|\bje n.ai pas d.opinions? personnelles?"),
)  # fmt: skip
OPENER: Phrases = (
    ("", rf"(?:certainly|sure(?: thing)?|of course|absolutely|great)[!,.] ?(?:here(?:{_A}?s| is| are)|below (?:is|are)|i(?:{_A}d be happy to|{_A}ll|{_A}d be glad to))\b"),
    ("", rf"here(?:{_A}s| is) (?:an?|the|your) (?:\w+ ){{0,3}}(?:revised|rewritten|improved|polished|refined|updated|expanded|shortened|corrected) (?:version|draft)\b"),
    ("", r"¡?(?:claro(?: que sí)?|por supuesto|desde luego|con gusto)[!,.]* ¡?(?:aquí (?:tienes|tiene|está|te|le)|a continuación|te presento|le presento)"),
    ("", r"(?:natürlich|(?:sehr )?gerne|selbstverständlich|klar|sicher|gern)[!,.] (?:hier (?:ist|sind|findest|finden)|nachfolgend|im folgenden)"),
    ("", r"(?:bien sûr|certainement|absolument|avec plaisir) ?[!,.] (?:voici|ci-dessous)"),
    ("", r"(?:claro|com certeza|certamente)[!,.] (?:aqui (?:está|estão|vai|vão)|segue|a seguir)"),
    ("", r"(?:certo|certamente|ecco a te|con piacere)[!,.] (?:ecco|di seguito)"),
    ("", r"(?:конечно|разумеется|хорошо)[!,.] (?:вот|ниже)"),
    ("", r"(?:natuurlijk|zeker)[!,.] (?:hier (?:is|zijn|volgt)|hieronder)"),
    ("", r"(?:oczywiście|jasne|pewnie)[!,.] (?:oto|poniżej)"),
    ("", r"(?:もちろん(?:です)?|承知(?:いた)?しました|かしこまりました|了解しました)[。！!、] ?(?:以下|こちら|では)"),
    ("", r"(?:当然(?:可以)?|當然(?:可以)?|好的)[！!，,。] ?(?:以下是|这里是|這是|这是|下面是)"),
    ("", r"(?:물론(?:입니다|이죠)|네)[!,.] (?:다음은|아래는|여기)"),
    ("", r"(?:elbette|tabii(?: ki)?)[!,.] (?:işte|aşağıda)"),
)  # fmt: skip
CLOSER: Phrases = (
    (r"i hope this", r"\bi hope this (?:helps|information is helpful)\b"),
    (r"let me know if", rf"\blet me know if you(?:{_A}?d| would) like (?:me to|any (?:changes|adjustments|revisions))"),
    (r"feel free to (?:ask|let)", r"\bfeel free to (?:ask|let me know) if you (?:have any|need) (?:more|further|other)"),
    (r"would you like me to", r"\bwould you like me to (?:expand|continue|elaborate|adjust|rewrite|add|create|make|turn)\b"),
    (r"espero que (?:esto|esta|isso|isto)", r"\bespero que (?:esto|esta información|isso|isto|esta informação) (?:te |le |lhe |o )?(?:ayude|sea (?:útil|de ayuda)|ajude|seja útil|ajuda)"),
    (r"ich hoffe,", r"\bich hoffe, (?:das|dies|diese informationen?) (?:hilft|helfen)\b"),
    (r"j.espère que", rf"\bj{_A}espère que (?:cela|ça|ces informations) (?:vous |t{_A}|te )?(?:aide|sera utile|seront utiles)"),
    (r"spero che (?:quest|ti|le|sia)", r"\bspero che (?:questo|queste informazioni|ti|le) (?:ti |le )?(?:sia|siano|aiut)"),
    (r"надеюсь, (?:это|эта)", r"надеюсь, (?:это|эта информация) (?:поможет|помогло|была? полезн)"),
    (r"お役に立", r"お役に立て(?:れば|たら|ましたら)(?:幸い|嬉しい)"),
    (r"希望(?:这|這|以上|对|對)", r"希望(?:这|這|以上|这些|這些)?(?:内容|信息|資訊|建议)?(?:能)?[对對](?:你|您)(?:有所|有)?[帮幫]助"),
    (r"ik hoop dat dit", r"\bik hoop dat dit (?:helpt|nuttig)"),
    (r"mam nadzieję, że", r"\bmam nadzieję, że to (?:pomoże|pomogło)"),
    (r"도움이 되", r"도움이 되(?:었|셨)?(?:기를|길) 바랍니다"),
    (r"umarım bu", r"\bumarım bu (?:bilgiler )?(?:yardımcı|faydalı) ol"),
)  # fmt: skip
ARTEFACT: Phrases = (
    (r"oaicite", r":?contentreference\[oaicite:\d+\]|\boaicite\b"),
    (
        r"turn\d+(?:search|view|news|fetch|image|file|academia|forecast|finance|sports|product|maps|reddit|click)\d",
        r"(?:\bcite|[\ue200-\ue20f]|\b)turn\d+(?:search|view|news|fetch|image|file|academia|forecast|finance|sports|product|maps|reddit|click)\d+",
    ),
    (r"【[0-9:]+†", r"【\d+(?::\d+)?†[^】\n]{0,80}】"),
    (r"attributableindex", r"\"attributableindex\"\s*:|\battributableindex\b"),
    (r"grok[_-]card|grok:render", r"\bgrok[_-]card\b|<grok:render"),
    (r"utm_source=(?:chatgpt|openai|copilot)", r"\butm_source=(?:chatgpt\.com|openai|copilot\.com)\b"),
)
TOPIC = (
    r"\bchat-?gpt|\bgpt-?[2345]|\bopenai\b|\bchat-?bots?\b|\blanguage[ -]models?\b|\bllms?\b|\bartificial intelligence\b|"
    r"\bai[- ](?:generated|written|text|tools?|detect\w*|chat\w*|companies|slop|content)|\bki[- ]\w+|\bkünstliche\w* intelligenz|\bsprachmodell\w*|\binteligencia artificial|"
    r"\bmodelos? de leng?uaje|\bintelligence artificielle|\bmodèles? de langage|\binteligência artificial|\bmodelos? de linguagem|\bintelligenza artificiale|"
    r"\bmodelli linguistici|\bmodello linguistico|искусственн\w+ интеллект\w*|языков\w+ модел\w+|нейросет\w+|\btaalmodel\w*|\bkunstmatige intelligentie|\bmodel\w* językow\w+|"
    r"\bsztuczn\w+ inteligencj\w+|生成AI|生成式|人工知能|言語モデル|人工智能|人工智慧|[语語]言模型|聊天(?:机器人|機器人)|인공지능|언어 ?모델|\byapay zek\w+|\bdil model\w+"
)
NEARBY = (
    rf"{TOPIC}|"
    r"\bclaude\b|\bgemini\b|\bcopilot\b|\bbard\b|\bgrok\b|\bdeepseek\b|\bprompt(?:s|ed|ing)\b|\bthe phrases?\b|\bphrases like\b|チャットボット"
)
"""What a page about assistants speaks of, and what else a sentence names that speaks of their phrases."""
